"""How long a soak goes on, how hard it is, and what is brought and disturbed on the way."""

from dataclasses import dataclass

from soak.disturbances import Disturbance
from soak.versions import Breed

Programme = tuple[tuple[Breed, Disturbance], ...]

SHORT: Programme = (
    (Breed.GOOD, Disturbance.NOTHING),
    (Breed.WRONG, Disturbance.NOTHING),
    (Breed.GOOD, Disturbance.DRAIN),
    (Breed.CRASHING, Disturbance.NOTHING),
    (Breed.GOOD, Disturbance.STORE_OUTAGE),
)
"""About three minutes."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is promised to be tried; a ledger that shows less is a failure."""

    programme: Programme
    rate: float
    """Requests in a second."""
    most: int
    """Requests at the most."""
    seconds: float
    """After which no further version is brought."""
    least: int = 0
    """Requests that must be answered; they are waited for at the end."""


def programme(count: int) -> Programme:
    """What is brought, and what is disturbed meanwhile: all that is bad early, and again after every ten that are good.

    A version that cannot become ready is waited for three minutes, so it comes once, and only in a long soak.

    >>> [str(breed) for breed, _ in programme(6)]
    ['good', 'wrong', 'crashing', 'good', 'slow', 'hungry']
    """
    cycle = (Breed.GOOD, Breed.WRONG, Breed.CRASHING, Breed.GOOD, Breed.SLOW, Breed.HUNGRY, *[Breed.GOOD] * 8)
    hands = [what for what in Disturbance if what is not Disturbance.NOTHING]
    planned: list[tuple[Breed, Disturbance]] = []
    disturbed = 0
    for number in range(count):
        breed = Breed.NEVER_READY if number == 20 else cycle[number % len(cycle)]
        # A bad version is to fail by its own fault; only what must succeed is made harder.
        disturbance = Disturbance.NOTHING
        if breed is Breed.GOOD and number:
            disturbance = hands[disturbed % len(hands)]
            disturbed += 1
        planned.append((breed, disturbance))
    return tuple(planned)
