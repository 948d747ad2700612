"""`python -m chaos`: faults on purpose, and whether everything ends as it would have without them."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from chaos.campaign import Tally, campaign, learn
from chaos.plans import FaultPlan
from chaos.stage import Outcome, stage
from chaos.workloads import WORKLOADS

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
FAILURES = Path("reports/chaos")


@app.command()
def run(
    minutes: Annotated[float, typer.Option(help="Begin no further plan after so long.")] = 60.0,
    workload: Annotated[list[str] | None, typer.Option(help="Only these; all if left out.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same plans.")] = 1,
    at_once: Annotated[int, typer.Option(help="Plans played side by side.")] = 3,
    failures: Annotated[Path, typer.Option(help="Where plans that failed are kept.")] = FAILURES,
) -> None:
    """Kill the operator before and after every write of each workload, then let API requests fail by chance."""
    chosen = workload or list(WORKLOADS)
    if unknown := sorted(set(chosen) - WORKLOADS.keys()):
        raise typer.BadParameter(f"no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")

    async def play() -> Tally:
        with tempfile.TemporaryDirectory(prefix="tidemill-chaos-") as folder:
            async with stage(Path(folder)) as made:
                return await campaign(
                    made, chosen, seed=seed, minutes=minutes, at_once=at_once, failures=failures, say=_say
                )

    tally = asyncio.run(play())
    print(tally.told())
    sys.exit(1 if tally.failures else 0)


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
    app()
