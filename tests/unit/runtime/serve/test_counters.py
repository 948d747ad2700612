"""Drift counters: what serving pods count while they answer, and that a monitor finds in it what the rows would tell."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from support import gateway
from tidemill.api.checks import Check
from tidemill.contract.layout import LogColumn, counts_folder, prediction_folder
from tidemill.contract.orders import CheckOrder
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.log.counters import Counters
from tidemill.runtime.log.layout import SLOT, CountsName
from tidemill.runtime.log.records import Author, Prediction, PredictionFile
from tidemill.runtime.log.writer import Log
from tidemill.runtime.model import background
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.monitor import job
from tidemill.runtime.profile import Profile, ProfiledColumn, profile_table
from tidemill.runtime.protocol.features import Features, Rows
from tidemill.runtime.store.objects import ObjectStore

from .conftest import TOWARDS_SIZE, golden, linear_model, pods, until

SIGNATURE = Signature(
    task="Classification",
    features=(
        Feature("size", "Numerical"),
        Feature("age", "Numerical"),
    ),
    target="sold",
    classes=(0, 1),
)
MIXED = SIGNATURE.model_copy(
    update={"features": (*SIGNATURE.features, Feature("town", "Categorical", ("Aalen", "Bonn")))}
)
NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())
CHECKS = tuple(
    Check.model_validate(text)
    for text in (
        {"name": "inputs", "type": "FeatureDrift", "failing": 0.2},
        {"name": "answers", "type": "PredictionDrift", "failing": 0.2},
        {
            "name": "sound",
            "type": "DataQuality",
            "rules": [{"metric": metric, "maximum": 0.5} for metric in ("MissingShare", "SchemaMatch")],
        },
        {"name": "fresh", "type": "Timeliness", "subject": "Predictions", "maximumLag": "1h"},
    )
)


def training_profile(signature: Signature, rows: int = 3000) -> Profile:
    """The profile of the rows that the version was trained on."""
    rng = np.random.default_rng(3)
    columns: dict[str, Any] = {
        "size": rng.normal(size=rows),
        "age": rng.exponential(size=rows),
        "town": rng.choice(["Aalen", "Bonn"], rows),
        LogColumn.PREDICTION: rng.choice(["0", "1"], rows),
        LogColumn.SCORE: rng.uniform(0.5, 1, rows),
    }
    kinds = {feature.name: feature.type for feature in signature.features}
    kinds |= {LogColumn.PREDICTION: "Categorical", LogColumn.SCORE: "Numerical"}
    table = pa.table({name: columns[name] for name in kinds})
    return profile_table(table, [ProfiledColumn(name, kind) for name, kind in kinds.items()])


def publish(store: ObjectStore, name: str = "house-1", signature: Signature = SIGNATURE) -> VersionOrder:
    published = store.publish(
        f"ns/models/house/{name}",
        {
            "model.onnx": linear_model(TOWARDS_SIZE),
            "signature.json": json.dumps(signature.to_wire()).encode(),
            "typical.json": background.of(golden(TOWARDS_SIZE).matrix, SIGNATURE, seed=1).to_json(),
            "golden.json": golden(TOWARDS_SIZE).to_json(),
            "profile.json": training_profile(signature).to_json(),
        },
    )
    return VersionOrder(name=name, uri=published.uri, digest=published.digest)


class Watched:
    """A store that remembers what was read from it."""

    def __init__(self, store: ObjectStore, *, without: str = "nothing") -> None:
        self._store = store
        self._without = without
        self.read: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def list(self, folder: str = "", *, after: str = "") -> Iterator[Any]:
        return iter(entry for entry in self._store.list(folder, after=after) if self._without not in entry.key)

    def get(self, key: str, *, most: int | None = None) -> bytes:
        self.read.append(key)
        return self._store.get(key, most=most)

    @property
    def parts(self) -> int:
        """Parts of the log that were read."""
        return sum("/predictions/" in key for key in self.read)


def both_ways(
    store: ObjectStore, version: VersionOrder, start: float, end: float, **others: Any
) -> tuple[Any, Any, int]:
    """What a check finds from counts, what it finds from rows, and how many parts of the log it read for the first."""
    order = CheckOrder(
        namespace="ns",
        monitor="watch",
        service="houses",
        start=datetime.fromtimestamp(start, UTC),
        end=datetime.fromtimestamp(end, UTC),
        version=version,
        minimum_samples=1,
        minimum_labels=1,
        **{"checks": CHECKS, "labels": False, **others},
    )
    results = []
    views = Watched(store), Watched(store, without="/counts/")
    for view in views:
        job.run(order, view)  # type: ignore[arg-type]
        (key,) = [entry.key for entry in store.list("ns/monitors/watch") if entry.key.endswith("result.json")]
        results.append(orjson.loads(store.get(key)))
        store.delete(key)
    return results[0], results[1], views[0].parts


class Pod:
    """The log of a pod with its counters, without a server, at moments that a test chooses."""

    def __init__(
        self, store: ObjectStore, version: VersionOrder, *, name: str = "pod-0", redact: tuple[str, ...] = ()
    ) -> None:
        self.now = float(NOON)
        self.rng = np.random.default_rng(sum(name.encode()))
        self.features = Features(MIXED)
        file = PredictionFile(self.features, classifies=True, redact=redact)
        self.counters = Counters(counts_folder("ns", "houses"), name, version.digest, file, clock=lambda: self.now)
        self.counters.load(store, version.uri)
        self.log = Log(
            prediction_folder("ns", "houses"), name, self.counters, every=60, max_bytes=1 << 24, observer=self.counters
        )
        self.log.use(store)
        self.author = Author(version.name, version.digest, "Stable", ClassLabels((0, 1)))

    def answer(self, rows: int, *, author: Author | None = None, at: float | None = None) -> None:
        """One request of so many rows."""
        rng = self.rng
        matrix = np.column_stack((rng.normal(0.3, 1.5, rows), rng.exponential(size=rows), np.zeros(rows)))
        matrix[rng.random(rows) < 0.1, 0] = np.nan
        towns = [str(town) for town in rng.choice(["Aalen", "Bonn", "Celle"], rows)]
        probabilities = rng.dirichlet((1, 1), rows)
        answer = Answer(probabilities.argmax(axis=1), probabilities)
        moment = self.now if at is None else at
        record = Prediction(f"r{moment}", moment, Rows(matrix, {2: [*towns[:-1], None]}), answer, author or self.author)
        self.log.append(record, rows, 100)

    async def live(self, seconds: int, *, rows: int = 7, flush: int = 2) -> None:
        """Answer a request a second, and flush every few."""
        for second in range(seconds):
            self.now += 1
            self.answer(rows)
            if second % flush == 0:
                assert await self.log.flush()


@pytest.fixture
def version(store: ObjectStore) -> VersionOrder:
    return publish(store, signature=MIXED)


async def test_a_window_of_whole_slots_is_told_from_counts_without_reading_a_row(
    store: ObjectStore, version: VersionOrder
) -> None:
    for server in (Pod(store, version), Pod(store, version, name="pod-1")):
        await server.live(95)
        await server.log.flush()

    counted, read, parts = both_ways(store, version, NOON + 10, NOON + 90)

    assert read == counted
    assert (2 * 80 * 7, 0) == (counted["samples"], parts)
    assert {"Failing", "Passing"} == {server["verdict"] for server in counted["checks"]}


async def test_rows_at_the_edges_of_a_window_are_read_and_the_rest_is_not(
    store: ObjectStore, version: VersionOrder
) -> None:
    pod = Pod(store, version)
    await pod.live(60, flush=5)
    await pod.log.flush()

    counted, read, parts = both_ways(store, version, NOON + 13, NOON + 47)

    assert read == counted
    assert 34 * 7 == counted["samples"]
    assert 0 < parts <= 6


async def test_long_windows_add_up_long_spans(store: ObjectStore, version: VersionOrder) -> None:
    pod = Pod(store, version)
    pod.now = float(NOON + 3000)
    for _ in range(3 * 120):  # three hours
        pod.now += 3 * SLOT
        pod.answer(2)
        await pod.log.flush()

    counted, read, parts = both_ways(store, version, NOON + 3010, NOON + 3000 + 3 * 3600)
    spans = [
        named.span for entry in store.list(counts_folder("ns", "houses")) if (named := CountsName.parse(entry.key))
    ]

    assert read == counted
    assert (3 * 120 - 1) * 2 == counted["samples"]
    assert 0 == parts
    assert {10, 300, 3600} == set(spans)


async def test_candidates_answers_are_inputs_and_not_outputs(store: ObjectStore, version: VersionOrder) -> None:
    pod = Pod(store, version)
    candidate = Author("house-2", "sha256:" + "9" * 64, "Candidate", ClassLabels((0, 1)))
    pod.answer(30)
    pod.answer(20, author=candidate)
    await pod.log.flush()

    counted, read, parts = both_ways(store, version, NOON, NOON + 10)

    assert read == counted
    assert (50, 30, 0) == (counted["samples"], counted["answered"], parts)


async def test_redacted_features_are_as_absent_from_counts_as_from_rows(
    store: ObjectStore, version: VersionOrder
) -> None:
    pod = Pod(store, version, redact=("age", "town"))
    pod.answer(50)
    await pod.log.flush()

    counted, read, _ = both_ways(store, version, NOON, NOON + 10)
    present = {column["name"]: column["present"] for column in counted["columns"]}
    (key,) = [entry.key for entry in store.list(counts_folder("ns", "houses"))]

    assert read == counted
    assert (0, 0, True) == (present["feature:age"], present["feature:town"], present["feature:size"] > 0)
    assert b"Celle" not in _unpacked(store.get(key))


async def test_what_a_crash_left_uncounted_is_read_and_nothing_counts_twice(
    store: ObjectStore, version: VersionOrder
) -> None:
    pod = Pod(store, version)
    pod.answer(10)
    await pod.log.flush()
    pod.counters.put = lambda _: None  # type: ignore[method-assign]
    pod.answer(5)
    await pod.log.flush()  # the part is in the store, and the process ends before the counts are
    again = Pod(store, version, name="pod-0-again")
    again.now += 3
    again.answer(20)
    await again.log.flush()

    counted, read, parts = both_ways(store, version, NOON, NOON + 10)

    assert read == counted
    assert (35, 1) == (counted["samples"], parts)


async def test_flushing_again_writes_the_counts_of_a_slot_over_themselves(
    store: ObjectStore, version: VersionOrder
) -> None:
    pod = Pod(store, version)
    for _ in range(4):
        pod.answer(3)
        await pod.log.flush()

    counted, _, parts = both_ways(store, version, NOON, NOON + 10)

    assert (12, 0) == (counted["samples"], parts)
    assert 1 == len(list(store.list(counts_folder("ns", "houses"))))


async def test_rows_that_come_for_a_slot_that_is_over_are_read(store: ObjectStore, version: VersionOrder) -> None:
    pod = Pod(store, version)
    await pod.live(25)
    pod.answer(9, at=NOON + 4)  # a clock that was set back
    await pod.log.flush()

    counted, read, parts = both_ways(store, version, NOON, NOON + 20)

    assert read == counted
    assert (19 * 7 + 9, 1) == (counted["samples"], parts)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 40, b"\0" * 7 + b"\x20" + bytes(range(100, 130)), b"\xff" * 40],
    ids=["empty", "zeros", "noise", "too long"],
)
async def test_damaged_counts_are_left_out_and_the_rows_are_read(
    store: ObjectStore, version: VersionOrder, content: bytes
) -> None:
    pod = Pod(store, version)
    await pod.live(25)
    first, *_ = [entry.key for entry in store.list(counts_folder("ns", "houses"))]
    store.put(first, content)

    counted, read, parts = both_ways(store, version, NOON, NOON + 20)

    assert read == counted
    assert 0 < parts


async def test_counts_on_another_versions_bins_do_not_count(store: ObjectStore, version: VersionOrder) -> None:
    pod = Pod(store, version)
    await pod.live(15)
    newer = publish(store, "house-2", SIGNATURE)

    counted, read, parts = both_ways(store, newer, NOON, NOON + 10)

    assert read == counted
    assert 0 < parts


async def test_checks_that_look_at_rows_read_all_of_them(store: ObjectStore, version: VersionOrder) -> None:
    pod = Pod(store, version)
    await pod.live(15)
    twice = Check.model_validate(
        {"name": "twice", "type": "DataQuality", "rules": [{"metric": "DuplicateRequestShare", "maximum": 0.5}]}
    )

    _, _, parts = both_ways(store, version, NOON, NOON + 10, checks=(twice,))

    assert 0 < parts


async def test_a_store_that_does_not_take_counts_gets_them_later(store: ObjectStore, version: VersionOrder) -> None:
    pod = Pod(store, version)

    class Down:
        def put(self, key: str, content: bytes) -> None:
            raise OSError("nothing answers there")

    pod.log.use(Down())  # type: ignore[arg-type]
    for _ in range(30):
        pod.now += 1
        pod.answer(7)
        await pod.log.flush()
    pod.log.use(store)
    pod.now += 30
    await pod.log.flush()

    counted, read, parts = both_ways(store, version, NOON, NOON + 40)

    assert read == counted
    assert (30 * 7, 0) == (counted["samples"], parts)


async def test_finished_counts_that_nobody_takes_are_dropped_before_they_fill_the_memory(
    store: ObjectStore, version: VersionOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.runtime.log.counters.MAX_WAITING_BYTES", 5_000)
    pod = Pod(store, version)
    pod.log.use(store)

    class NoCounts(Watched):
        def put(self, key: str, content: bytes) -> None:
            if "/counts/" in key:
                raise OSError("full")
            self._store.put(key, content)

    pod.log.use(NoCounts(store))  # type: ignore[arg-type]
    await pod.live(150)
    pod.log.use(store)
    await pod.log.flush()

    counted, read, parts = both_ways(store, version, NOON, NOON + 150)

    assert pod.counters.dropped > 0
    assert read == counted
    assert parts > 0


def _unpacked(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").decompress(content[8:], int.from_bytes(content[:8], "big"), asbytes=True))


@pytest.mark.slow
def test_a_real_pod_counts_on_a_real_s3_server_what_its_rows_tell(tmp_path: Path) -> None:
    with gateway.gateway(tmp_path / "s3") as endpoint:
        store = ObjectStore.from_files(gateway.secret(tmp_path / "secret", endpoint))
        version = publish(store)
        with pods(tmp_path, store) as prepare:
            pod = prepare(version, secret=False, environment={"TIDEMILL_LOG_SECONDS": "1"})
            gateway.secret(pod.secret, endpoint)
            pod.ready()
            folder = counts_folder("ns", "houses")

            def counted_slots() -> list[int]:
                pod.ask(1.0)
                rows = [{"size": float(size), "age": None} for size in np.random.default_rng(5).normal(0.5, 1, 40)]
                pod.client.post("/v2/models/house/predict", json={"rows": rows})
                time.sleep(0.05)
                starts = {named.start for entry in store.list(folder) if (named := CountsName.parse(entry.key))}
                return sorted(starts) if len(starts) >= 4 else []

            slots = until(counted_slots, "four slots have been counted")
            assert 0 == pod.stop()

        # The first slot may hold rows from before the pod knew its bins.
        counted, read, parts = both_ways(store, version, slots[1], slots[3] + SLOT)
        edges = both_ways(store, version, slots[1] + 3.5, slots[3] + 4.25)

    assert read == counted
    assert (0, True) == (parts, counted["samples"] > 1000)
    assert edges[0] == edges[1]
