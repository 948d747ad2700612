"""The object store of a namespace, reached through a runner that carries objects in and out."""

import json
from pathlib import Path
from urllib.parse import quote, urlsplit

from support.api import Api
from support.runner import FOLDER, PodRunner, Recipe

PORT = 9100
PROGRAM = Path(__file__).parent / "inside" / "store_client.py"


class StoreClient:
    """Reads and writes objects by their keys."""

    def __init__(self, runner: PodRunner) -> None:
        self._runner = runner

    @classmethod
    def start(cls, api: Api, namespace: str, workload_image: str) -> "StoreClient":
        files = {"store-client": {"store_client.py": PROGRAM.read_text()}}
        command = ("python", f"{FOLDER}/store-client/store_client.py")
        return cls(
            PodRunner.start(api, namespace, Recipe("store-client", workload_image, command, files, PORT, store=True))
        )

    def put(self, key: str, content: bytes) -> None:
        self._runner.ask(quote(key), method="PUT", body=content)

    def get(self, key: str) -> bytes:
        return self._runner.ask(quote(key))

    def delete(self, key: str) -> None:
        self._runner.ask(quote(key), method="DELETE")

    def keys(self, folder: str) -> list[str]:
        """The keys below a folder."""
        return list(json.loads(self._runner.ask(f"?prefix={quote(folder)}")))

    def stop(self) -> None:
        self._runner.stop()


def key_of(uri: str) -> str:
    """The key of an object in the bucket that its whole name starts with.

    >>> key_of("s3://tidemill/demo/monitors/biopsies/report.html")
    'demo/monitors/biopsies/report.html'
    """
    return urlsplit(uri).path.lstrip("/")
