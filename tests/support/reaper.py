"""SIGKILL for containers, whatever runs them: a runner that sees the node's processes does it."""

from pathlib import Path

from support.api import Api
from support.runner import FOLDER, PodRunner, Recipe

PORT = 9200
PROGRAM = Path(__file__).parent / "inside" / "reaper.py"


class Reaper:
    """Kills containers of pods."""

    def __init__(self, api: Api, runner: PodRunner) -> None:
        self._api = api
        self._runner = runner

    @classmethod
    def start(cls, api: Api, namespace: str, image: str, *, name: str = "reaper") -> "Reaper":
        """In a namespace that lets a pod see the node's processes."""
        files = {"reaper": {"reaper.py": PROGRAM.read_text()}}
        command = ("python", f"{FOLDER}/reaper/reaper.py")
        recipe = Recipe(name, image, command, files, PORT, host_processes=True)
        return cls(api, PodRunner.start(api, namespace, recipe))

    def kill(self, namespace: str, pod: str) -> int:
        """SIGKILL every process of the pod's containers, and say how many there were."""
        manifest = self._api.get("Pod", namespace, pod) or {}
        statuses = manifest.get("status", {}).get("containerStatuses") or []
        ids = [status["containerID"].rpartition("/")[2] for status in statuses if status.get("containerID")]
        return sum(int(self._runner.ask(container, method="POST")) for container in ids)

    def stop(self) -> None:
        self._runner.stop()
