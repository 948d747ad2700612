"""A store with a revision, and the version that was trained on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import revisions
from tidemill.contract.reports import Ingested, Trained
from tidemill.runtime.store.objects import ObjectStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path_factory.mktemp('store')}")


@pytest.fixture(scope="module")
def biopsies(store: ObjectStore) -> Ingested:
    return revisions.revision(store)


@pytest.fixture(scope="module")
def first(store: ObjectStore, biopsies: Ingested) -> Trained:
    return revisions.trained(revisions.training(biopsies), store)[0]


@pytest.fixture(scope="module")
def folder(store: ObjectStore, first: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store.fetch(first.uri, first.digest, tmp_path_factory.mktemp("model"))
