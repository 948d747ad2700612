"""The second half: a sensor breaks, and nothing is retrained."""

from demo.stage import Stage
from demo.story import NAME, Story
from support import biopsies
from tidemill.api.conditions import Reason
from traffic.rows import Shift

WINDOWS = 2
"""For how many windows in a row the monitor has to hold back."""


def _defect(story: Story, seconds: float) -> str:
    assert story.traffic is not None, "there is traffic by now"
    story.narrator.say(f"a broken sensor: half of the values of {biopsies.DEFECTIVE} do not arrive any more")
    story.traffic.shift(Shift.DEFECT)

    def reported() -> str | None:
        monitor = story.monitor
        broken = monitor.status.condition("DataQualityFailed") if monitor else None
        return broken.message if broken and broken.status == "True" else None

    figure = story.await_("the monitor reporting bad data", reported, seconds)
    story.reports["the broken sensor"] = story.monitor.status.last_run.report_uri  # type: ignore[union-attr]
    return figure


def _held_back(story: Story, seconds: float) -> str:
    def held() -> bool:
        monitor = story.monitor
        assert monitor is not None, "the monitor must exist"
        broken = [check for check in monitor.status.checks if check.type == "DataQuality"]
        return bool(broken) and all(check.consecutive >= WINDOWS for check in broken)

    story.await_(f"{WINDOWS} windows of bad data in a row", held, seconds)
    monitor = story.monitor
    allowed = monitor.status.condition("RetrainingAllowed") if monitor else None
    assert allowed is not None and (allowed.status, allowed.reason) == ("False", Reason.DATA_QUALITY), (
        f"retraining should be held back: {allowed}"
    )
    assert len(story.retrainings()) == 1, "a broken sensor is no reason to retrain"
    return f"RetrainingAllowed=False {allowed.reason}; still one retraining"


STAGES = (
    Stage("A sensor breaks", f"driftmonitor/{NAME}", 90, _defect),
    Stage("Nothing is retrained", f"driftmonitor/{NAME}", 60, _held_back),
)
