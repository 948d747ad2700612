from __future__ import annotations

import asyncio
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tidemill.runtime.serve.telemetry.exposition import ExposedSample, merged, text
from tidemill.runtime.serve.telemetry.metrics import HELP, Metrics
from tidemill.runtime.serve.telemetry.workers import WorkerSamples

WHO = {"service": "a", "model_version": "v", "role": "Stable"}


def test_counts_add_up_and_states_do_not() -> None:
    first = [
        ExposedSample("tidemill_feedback_total", {"service": "a"}, 2),
        ExposedSample("tidemill_model_info", {**WHO, "model": "m", "digest": "d"}, 1),
        ExposedSample("tidemill_model_ready", {**WHO, "model": "m"}, 1),
        ExposedSample("tidemill_prediction_duration_seconds", {**WHO, "le": "+Inf"}, 5, "_bucket"),
    ]
    other = [first[0]._replace(value=3), first[1], first[2]._replace(value=0), first[3]._replace(value=7)]

    assert [5, 1, 0, 12] == [sample.value for sample in merged([first, other])]


def test_what_only_one_process_has_stays() -> None:
    sample = ExposedSample("tidemill_predictions_total", {**WHO, "code": "404"}, 1)

    assert [sample] == merged([[], [sample]])


def test_text_is_read_back_by_prometheus_itself() -> None:
    metrics = Metrics('hou"ses\n')
    metrics.of("house-1", "Stable").answered(200, 0.003, 2)

    families = {family.name: family for family in text_string_to_metric_families(text(metrics.samples([]), HELP))}

    durations = families["tidemill_prediction_duration_seconds"]
    assert ("histogram", HELP["tidemill_prediction_duration_seconds"].help) == (durations.type, durations.documentation)
    assert {'hou"ses\n'} == {sample.labels["service"] for sample in durations.samples}
    assert [1.0] == [sample.value for sample in durations.samples if sample.name.endswith("_count")]


async def test_processes_ask_each_other_and_go_on_where_one_ended(tmp_path: Path) -> None:
    def counted(number: int) -> list[ExposedSample]:
        return [
            ExposedSample("tidemill_feedback_total", {"service": "a"}, number),
            ExposedSample("tidemill_log_backlog_rows", {"service": "a", "log": "labels"}, number),
        ]

    first, second = (WorkerSamples(tmp_path, index, 2, lambda number=index: counted(number + 1)) for index in range(2))
    running = [asyncio.create_task(worker.run()) for worker in (first, second)]
    await asyncio.sleep(0.1)
    together = [await worker.of_all() for worker in (first, second)]
    running[1].cancel()
    await asyncio.wait(running[1:])
    alone = await first.of_all()
    again = WorkerSamples(tmp_path, 1, 2, lambda: counted(10)).total()
    running[0].cancel()
    await asyncio.wait(running)

    assert [[3, 3], [3, 3], [3, 3]] == [[sample.value for sample in samples] for samples in (*together, alone)]
    assert [12, 10] == [sample.value for sample in again], "counters go on, what waited is gone"
