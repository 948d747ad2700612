"""`python -m fuzz`: specs on purpose wrong, odd or extreme, and whether anybody but their owner notices."""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from fuzz.admission import Admission, Admitted
from fuzz.campaign import Campaign, Counts, Extent
from fuzz.cases import Case, Failure
from fuzz.harness import harness
from fuzz.misoperations import Misoperations
from fuzz.reconciling import Reconciling
from fuzz.tampering import Tampering
from fuzz.walks import Walks

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
FAILURES = Path("reports/fuzz")


@app.command()
def run(
    minutes: Annotated[float, typer.Option(help="Begin nothing further after so long.")] = 60.0,
    seed: Annotated[int, typer.Option(help="The same seed, the same specs.")] = 1,
    failures: Annotated[Path, typer.Option(help="Where cases that failed are kept.")] = FAILURES,
) -> None:
    """Mutate every leaf of the schemas, misuse, tampering, undo and wander; exits 1 on any failure."""

    async def play() -> Counts:
        with tempfile.TemporaryDirectory(prefix="tidemill-fuzz-") as folder:
            async with harness(Path(folder)) as made:
                return await Campaign(made, seed=seed, minutes=minutes, folder=failures, say=_say).all(Extent())

    counts = asyncio.run(play())
    print(counts.summary())
    sys.exit(1 if counts.failures else 0)


@app.command()
def replay(file: Annotated[Path, typer.Argument(help="A case that failed.", exists=True)]) -> None:
    """Try one case again."""
    case = Case.from_yaml(file.read_text())

    async def play() -> list[Failure]:
        with tempfile.TemporaryDirectory(prefix="tidemill-fuzz-") as folder:
            async with harness(Path(folder)) as made:
                match case.of:
                    case "M1":
                        admission, reconciling = Admission(made), Reconciling(made)
                        await admission.prepare()
                        await admission.try_case(case)
                        for admitted in admission.admitted.values():
                            await reconciling.batch([Admitted(case, admitted.kept)], 0)
                        return [*admission.failures, *reconciling.failures]
                    case "M2":
                        misoperations = Misoperations(made)
                        await misoperations.all(case.title)
                        return misoperations.failures
                    case "M5":
                        tampering = Tampering(made)
                        await tampering.all([case])
                        return tampering.failures
                    case _:
                        walks = Walks(made)
                        await walks.all([case])
                        return walks.failures

    result = asyncio.run(play())
    for failure in result:
        print("\n".join(failure.problems))
    print(f"{case}: {'FAILED' if result else 'ok'}")
    sys.exit(1 if result else 0)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    # To be ended is to be interrupted: what was started ends too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
