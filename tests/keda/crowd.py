"""A crowd of clients in a pod of their own, as many requests in flight as there are clients."""

from dataclasses import dataclass
from pathlib import Path

from support.api import Api
from support.runner import FOLDER, PodRunner, Recipe

PROGRAM = Path(__file__).parent / "inside" / "crowd.py"
PORT = 9300
ROWS = 4_000
"""More than a serving pod answers on its event loop, so that requests wait for a thread and not for each other's bodies."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How the clients fared."""

    answered: int
    failed: int
    problem: str


class Crowd:
    """The clients at work."""

    def __init__(self, runner: PodRunner) -> None:
        self._runner = runner

    @classmethod
    def start(cls, api: Api, namespace: str, image: str, *, service: str, clients: int) -> "Crowd":
        """So many clients of a service of the same namespace, whose model has the service's name."""
        where = (f"{service}.{namespace}.svc", f"/v2/models/{service}/infer")
        words = (*where, str(clients), str(ROWS), str(PORT))
        command = ("python", f"{FOLDER}/crowd/crowd.py", *words)
        recipe = Recipe("crowd", image, command, {"crowd": {"crowd.py": PROGRAM.read_text()}}, PORT)
        return cls(PodRunner.start(api, namespace, recipe))

    def counts(self) -> Counts:
        return Counts(**self._runner.ask_json(""))

    def leave(self) -> None:
        self._runner.stop()
