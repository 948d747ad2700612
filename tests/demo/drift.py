"""The first half of the demo: a model goes into service, its inputs drift, and a better model replaces it."""

from cluster.paths import REPOSITORY
from demo.stage import Stage
from demo.story import NAME, Story
from support import biopsies
from support.kubectl import apply
from support.store_client import StoreClient
from traffic.client import Schedule
from traffic.remote import Orders, Traffic
from traffic.rows import Shift

SAMPLE = biopsies.SAMPLES / NAME
RATE = 20.0
FALL = 0.04
"""Accuracy that the drift must cost, and that the retraining must win back."""


def _apply(story: Story, seconds: float) -> str:
    story.narrator.say(f"kubectl apply -n {story.namespace} -f {SAMPLE.relative_to(REPOSITORY)}")
    for line in apply(story.cluster, story.namespace, SAMPLE).strip().splitlines():
        story.narrator.say(f"  {line}")
    return "4 objects"


def _dataset(story: Story, seconds: float) -> str:
    def ready() -> bool:
        dataset = story.dataset
        return dataset is not None and dataset.status.is_true("Ready")

    story.await_("the dataset becoming ready", ready, seconds)
    revision = story.dataset.status.revision  # type: ignore[union-attr]
    assert revision is not None, "a ready dataset has a revision"
    story.reports["the data"] = revision.report_uri
    return f"{revision.rows} rows, {revision.columns} columns, {revision.digest[:19]}"


def _training(story: Story, seconds: float) -> str:
    def trained() -> str | None:
        run = next((run for run in story.runs() if run.name == NAME), None)
        assert run is None or not run.status.is_true("Failed"), f"the run failed: {run.status.condition('Failed')}"
        version = story.version(run.status.model_version) if run and run.status.model_version else None
        return version.name if version and version.status.is_true("Ready") else None

    story.first_version = story.await_("a version that may be served", trained, seconds)
    run = next(run for run in story.runs() if run.name == NAME)
    story.reports["the first training"] = run.status.report_uri
    return f"{story.first_version}, accuracy {run.status.score:.3f} on the hold-out"


def _serving(story: Story, seconds: float) -> str:
    def answering() -> bool:
        service = story.service
        return service is not None and service.status.is_true("Ready")

    story.await_("the service being ready", answering, seconds)
    service = story.service
    return f"{service.status.url}, {service.status.replicas} pods" if service else ""


def _traffic(story: Story, seconds: float) -> str:
    rows = biopsies.held_out()
    schedule = Schedule(
        url=f"http://{NAME}.{story.namespace}.svc", model=NAME, rate=RATE, label_delay=2.0, most=100_000, seconds=1800
    )
    feature_shift = biopsies.feature_shift()
    orders = Orders(schedule, biopsies.TARGET, rows.asked, rows.measured, feature_shift)
    story.store_client = StoreClient.start(story.api, story.namespace, story.images["workload"])
    story.traffic = Traffic.start(story.api, story.namespace, story.images["server"], orders)
    story.narrator.say(
        f"{RATE:.0f} requests a second, drawn from real held-out biopsies; labels follow after two seconds"
    )
    story.await_("answers and labels flowing", lambda: story.counters().recent_labelled >= 100, seconds)
    story.undrifted = story.measure(Shift.NONE)[story.first_version]
    return f"accuracy {story.undrifted.accuracy:.3f} on {story.undrifted.rows} rows that no version is trained on"


def _no_drift(story: Story, seconds: float) -> str:
    def passing() -> str | None:
        monitor = story.monitor
        run = monitor.status.last_run if monitor else None
        return (
            f"{run.samples} rows, {run.labelled} with labels: {run.verdict}"
            if run and run.verdict in {"Passing", "Warning"}
            else None
        )

    figure = story.await_("the monitor finding the traffic as it should be", passing, seconds)
    story.reports["no drift"] = story.monitor.status.last_run.report_uri  # type: ignore[union-attr]
    return figure


def _drift(story: Story, seconds: float) -> str:
    assert story.traffic is not None, "there is traffic by now"
    story.narrator.say(
        f"a re-calibrated scanner: {len(biopsies.feature_shift().scale)} size measurements come {biopsies.FACTOR} times as large"
    )
    story.traffic.shift(Shift.DRIFT)
    story.await_("labels showing it", lambda: story.counters().recent_labelled >= 100, seconds)
    story.before = story.measure(Shift.DRIFT)[story.first_version]
    assert story.undrifted is not None, "it was measured before the drift"
    assert story.before.accuracy <= story.undrifted.accuracy - FALL, (
        f"the drift cost only {story.undrifted.accuracy - story.before.accuracy:.3f} of accuracy"
    )
    return f"accuracy {story.undrifted.accuracy:.3f} → {story.before.accuracy:.3f}"


def _fires(story: Story, seconds: float) -> str:
    story.await_("the monitor ordering a retraining", lambda: bool(story.retrainings()), seconds)
    monitor = story.monitor
    assert monitor is not None and monitor.status.last_run is not None, "a monitor that fired has looked at a window"
    story.reports["the drift"] = monitor.status.last_run.report_uri
    run = story.retrainings()[0]
    checks = ", ".join(run.status.cause.checks) if run.status.cause else ", ".join(monitor.status.history[0].checks)
    return f"{checks} failed twice in a row; {run.name}"


def _retraining(story: Story, seconds: float) -> str:
    def gated() -> str | None:
        run = story.retrainings()[0]
        assert not run.status.is_true("Failed"), f"the retraining failed: {run.status.condition('Failed')}"
        version = story.version(run.status.model_version) if run.status.model_version else None
        assert not (version and version.status.is_true("Stalled")), f"its version is held back: {version}"
        return version.name if version and version.status.is_true("Ready") else None

    story.second_version = story.await_("a version through its gates", gated, seconds)
    version = story.version(story.second_version)
    assert version is not None, "it was just seen"
    story.reports["the retraining"] = story.retrainings()[0].status.report_uri
    for gate in version.status.gates:
        story.narrator.say(f"  gate {gate.name}: {gate.verdict}, {gate.message}")
    return f"{story.second_version}, {len(version.status.gates)} gates passed"


def _canary(story: Story, seconds: float) -> str:
    weights: list[int] = []

    def promoted() -> bool:
        service = story.service
        assert service is not None, "the service is not deleted"
        rollout = service.status.rollout
        if rollout and rollout.weight not in (0, 100) and rollout.weight not in weights:
            weights.append(rollout.weight)
        ended = {outcome.version: outcome for outcome in service.status.history}.get(story.second_version)
        assert ended is None or ended.outcome == "Promoted", f"the canary ended otherwise: {ended}"
        return ended is not None and rollout is None

    story.await_("the version being promoted", promoted, seconds)
    return " → ".join(f"{weight} %" for weight in [*weights, 100])


def _after(story: Story, seconds: float) -> str:
    def only_the_new_one() -> bool:
        result = story.measure(Shift.DRIFT)
        story.after = result.get(story.second_version)
        return set(result) == {story.second_version}

    story.await_("every answer coming from the new version", only_the_new_one, seconds)
    assert story.before is not None and story.after is not None, "both versions were measured"
    assert story.after.accuracy >= story.before.accuracy + FALL, (
        f"the retraining won back only {story.after.accuracy - story.before.accuracy:.3f} of accuracy"
    )
    return f"accuracy {story.before.accuracy:.3f} → {story.after.accuracy:.3f} on {story.after.rows} shifted rows"


def _quiet(story: Story, seconds: float) -> str:
    def quiet() -> str | None:
        monitor = story.monitor
        assert monitor is not None, "the monitor is not deleted"
        run, reference = monitor.status.last_run, monitor.status.reference
        settled = (
            run and reference and reference.version == story.second_version and run.verdict in {"Passing", "Warning"}
        )
        return (
            f"{run.samples} rows against {reference.version}: {run.verdict}" if settled and run and reference else None
        )

    figure = story.await_("the monitor being quiet on its new reference", quiet, seconds)
    assert len(story.retrainings()) == 1, (
        f"one drift, one retraining; there are {[run.name for run in story.retrainings()]}"
    )
    return figure


STAGES = (
    Stage("The four objects are applied", "all", 30, _apply),
    Stage("Rows become a revision", f"dataset/{NAME}", 90, _dataset),
    Stage("A model is trained and passes its gates", f"trainingjob/{NAME}", 120, _training),
    Stage("It is served", f"inferenceservice/{NAME}", 90, _serving),
    Stage("Clients send requests, and labels follow", "pod/traffic", 60, _traffic),
    Stage("The monitor sees no drift", f"driftmonitor/{NAME}", 90, _no_drift),
    Stage("The inputs drift", "pod/traffic", 45, _drift),
    Stage("The monitor fires", f"driftmonitor/{NAME}", 120, _fires),
    Stage("One retraining runs", f"trainingjob/{NAME}-retrain-…", 120, _retraining),
    Stage("The canary is promoted", f"inferenceservice/{NAME}", 180, _canary),
    Stage("The predictions are right again", "pod/traffic", 30, _after),
    Stage("The monitor is quiet again", f"driftmonitor/{NAME}", 120, _quiet),
)
