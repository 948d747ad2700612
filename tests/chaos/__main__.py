"""`python -m chaos`: faults on purpose, and whether everything ends as it would have without them."""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from chaos.campaign import Counts, campaign, learn
from chaos.plans import FaultPlan
from chaos.series import LEADERS, SERIES
from chaos.stage import Outcome, stage
from chaos.windows import Windows
from chaos.windows import windows as in_windows
from chaos.workloads import WORKLOADS

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
FAILURES = Path("reports/chaos")


@app.command()
def run(
    minutes: Annotated[float, typer.Option(help="Begin no further plan after so long.")] = 60.0,
    plans: Annotated[int, typer.Option(help="Play no more than so many.")] = 1_000_000,
    workload: Annotated[list[str] | None, typer.Option(help="Only these; all if left out.")] = None,
    series: Annotated[list[str] | None, typer.Option(help="Only these classes, as C1; all if left out.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same plans.")] = 1,
    at_once: Annotated[int, typer.Option(help="Plans played side by side.")] = 12,
    failures: Annotated[Path, typer.Option(help="Where plans that failed are kept.")] = FAILURES,
) -> None:
    """Crash, cut, delay and refuse at every write of each workload; exit with 1 if anything ends differently."""
    chosen, classes = workload or list(WORKLOADS), series or list(SERIES)
    if "C9" not in classes and not workload:
        chosen.remove(LEADERS)
    for given, known, what in ((chosen, WORKLOADS, "workload"), (classes, SERIES, "class")):
        if unknown := sorted(set(given) - known.keys()):
            raise typer.BadParameter(f"no {what} {', '.join(unknown)}; there are {', '.join(known)}")

    async def play() -> Counts:
        with tempfile.TemporaryDirectory(prefix="tidemill-chaos-") as folder:
            async with stage(Path(folder)) as made:
                return await campaign(
                    made,
                    chosen,
                    classes,
                    seed=seed,
                    minutes=minutes,
                    most=plans,
                    at_once=at_once,
                    failures=failures,
                    say=_say,
                )

    counts = asyncio.run(play())
    print(counts.summary())
    sys.exit(1 if counts.failures else 0)


@app.command()
def windows(
    count: Annotated[int, typer.Option(help="Windows in which the operator is killed.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed, the same choice of writes.")] = 1,
    at_once: Annotated[int, typer.Option(help="Monitors side by side.")] = 10,
) -> None:
    """Kill the operator in each of many drift windows; exit with 1 unless each has exactly one TrainingJob."""

    async def play() -> Windows:
        with tempfile.TemporaryDirectory(prefix="tidemill-chaos-") as folder:
            async with stage(Path(folder)) as made:
                return await in_windows(made, count, seed=seed, at_once=at_once, say=_say)

    result = asyncio.run(play())
    print(result.summary())
    sys.exit(1 if result.problems else 0)


@app.command()
def replay(plan: Annotated[Path, typer.Argument(help="A plan that failed.", exists=True)]) -> None:
    """Play one plan again."""
    wanted = FaultPlan.from_yaml(plan.read_text())

    async def play() -> Outcome:
        with tempfile.TemporaryDirectory(prefix="tidemill-chaos-") as folder:
            async with stage(Path(folder)) as made:
                reference = await learn(made, wanted.workload, _say)
                return await made.play(wanted, reference.ending)

    outcome = asyncio.run(play())
    for line in (*map(str, outcome.writes), *outcome.problems):
        print(line)
    print(f"{wanted}: {'FAILED' if outcome.problems else 'ok'}")
    sys.exit(1 if outcome.problems else 0)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    # To be ended is to be interrupted: what was started ends too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
