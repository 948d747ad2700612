"""One cluster and one installation for the session; the loop runs at the same time as the other tests, as neighbours do."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from cluster import ensure
from cluster.progress import note
from demo import defect, drift
from support.api import connected
from support.environment import LOOP, Environment, prepare
from support.life import Life, live
from support.turns import my_turn


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the uninstalling to the end, since nothing can be tried after it."""
    items.sort(key=lambda item: item.path.name == "test_uninstalling.py")


@pytest.fixture(scope="session")
def environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """A cluster with Tidemill in it, as this checkout has it."""
    with my_turn(note):
        cluster = ensure()
        with connected(cluster) as api:
            yield prepare(cluster, api)


@pytest.fixture(scope="session", autouse=True)
def playing(request: pytest.FixtureRequest) -> Iterator[Future[Life] | None]:
    """The loop under way, from the first test on, where any test asks how it went."""
    if not any("loop" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    environment: Environment = request.getfixturevalue("environment")
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit(live, environment, LOOP, (*drift.STAGES, *defect.STAGES))


@pytest.fixture(scope="module", autouse=True)
def room_on_the_node(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a module let serve and watch in its OWN_NAMESPACE ends with it, so that the next finds room on the node."""
    own = getattr(request.module, "OWN_NAMESPACE", None)
    environment: Environment | None = request.getfixturevalue("environment") if own else None
    yield
    if own and environment is not None:
        environment.end_pods(own)


@pytest.fixture(scope="session")
def loop(playing: Future[Life] | None) -> Life:
    """The loop, played to its end."""
    assert playing is not None, "it was started, since a test asks for it"
    return playing.result(timeout=900)
