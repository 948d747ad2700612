"""The versions that are rolled out: one that is trained, and copies of it that are as good, wrong, slow, hungry or never ready."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import numpy as np

from support import biopsies
from support.api import Api
from support.store_client import StoreClient, key_of
from tidemill.api import API_VERSION, ModelVersion
from tidemill.runtime.ingest import bundled
from tidemill.runtime.model.artifact import write_estimator
from tidemill.runtime.model.predictor import COMPILED_FILE, MODEL_FILE
from tidemill.runtime.store import manifest
from tidemill.runtime.store.manifest import Manifest

SERIAL = "serial.txt"
"""A file that only makes one copy differ from the next."""
HOARD = 256 << 20
"""Bytes of rows that a hungry model keeps; more than a pod may have, since reading them takes as much again."""


class Breed(StrEnum):
    """What a version is like, and how its rollout must end."""

    GOOD = "good"
    WRONG = "wrong"
    """Trained on labels that were mixed up."""
    CRASHING = "crashing"
    """As good as the first; its process is killed."""
    SLOW = "slow"
    """A forest without its compiled form."""
    HUNGRY = "hungry"
    """Takes more memory than its pod may have."""
    NEVER_READY = "never-ready"
    """Its bytes are not those that its digest names."""

    @property
    def outcome(self) -> str:
        return "Promoted" if self is Breed.GOOD else "RolledBack"


@dataclass(frozen=True, slots=True)
class Trained:
    """A version that a run published, with its files."""

    version: ModelVersion
    files: Mapping[str, bytes]

    @classmethod
    def fetch(cls, store_client: StoreClient, version: ModelVersion) -> "Trained":
        source = key_of(version.spec.artifact.uri)
        listed = Manifest.verified(
            store_client.get(f"{source}/{manifest.FILE}"), version.spec.artifact.digest, version.spec.artifact.uri
        )
        return cls(version, {name: store_client.get(f"{source}/{name}") for name in listed.files})


@dataclass(frozen=True, slots=True)
class Nursery:
    """Makes versions of one model out of what was trained, and brings them as a user would: files, manifest, ModelVersion."""

    api: Api
    store_client: StoreClient
    namespace: str
    model: str
    good: Trained
    wrong: Trained
    forest: Trained

    def bring(self, breed: Breed, serial: int) -> ModelVersion:
        """A version of its own, by name and by digest."""
        parent, files = self._files(breed)
        files = {**files, SERIAL: str(serial).encode()}
        name = f"{self.model}-{serial:03d}-{breed}"
        folder = f"{self.namespace}/models/{self.model}/{name}"
        listed = Manifest.of(files)
        if breed is Breed.NEVER_READY:
            files = {**files, SERIAL: b"somebody was here"}
        for file, content in files.items():
            self.store_client.put(f"{folder}/{file}", content)
        self.store_client.put(f"{folder}/{manifest.FILE}", listed.to_json())
        spec = parent.version.spec.to_wire() | {
            "modelName": self.model,
            "artifact": {"uri": f"s3://tidemill/{folder}", "digest": listed.digest, "format": "Skops"},
        }
        made = self.api.create(
            {
                "apiVersion": API_VERSION,
                "kind": ModelVersion.kind_name,
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": spec,
            }
        )
        return ModelVersion.model_validate(made)

    def _files(self, breed: Breed) -> tuple[Trained, Mapping[str, bytes]]:
        match breed:
            case Breed.WRONG:
                return self.wrong, self.wrong.files
            case Breed.SLOW:
                return self.forest, _uncompiled(self.forest.files)
            case Breed.HUNGRY:
                return self.good, {**_uncompiled(self.good.files), MODEL_FILE: _hoarder()}
            case _:
                return self.good, self.good.files


def _uncompiled(files: Mapping[str, bytes]) -> dict[str, bytes]:
    assert COMPILED_FILE in files, "the model was compiled"
    return {name: content for name, content in files.items() if name != COMPILED_FILE}


@cache
def _hoarder() -> bytes:
    """A model that keeps rows instead of weights: few bytes in the store, since they are all the same, and many in memory."""
    from sklearn.neighbors import KNeighborsClassifier

    width = len(bundled.read(biopsies.SET).column_names) - 1
    rows = np.zeros((HOARD // (8 * width), width))
    hoarder = KNeighborsClassifier(n_neighbors=1, algorithm="brute").fit(rows, np.arange(len(rows)) % 2)
    with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
        path = Path(folder) / MODEL_FILE
        write_estimator(hoarder, path)
        return path.read_bytes()
