"""Running other programs, with an error that shows what they said."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

Result = TypeVar("Result")


class CommandFailed(RuntimeError):
    """A program ended with an error; the message carries its last lines."""


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    given: bytes | None = None,
    reading: IO[bytes] | None = None,
    timeout: float = 1800,
) -> str:
    """Run `command` to its end and return what it printed; it reads what is `given`, or a file, or nothing."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            env=env,
            cwd=cwd,
            input=given,
            stdin=None if given is not None else reading or subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as missing:
        raise CommandFailed(f"{words[0]} is not installed") from missing
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(f"{' '.join(words[:4])} took longer than {timeout:g} s") from late
    if done.returncode:
        output = (done.stdout + b"\n" + done.stderr).decode(errors="replace").strip().splitlines()
        raise CommandFailed(f"{' '.join(words[:6])} ended with {done.returncode}:\n" + "\n".join(output[-25:]))
    return done.stdout.decode(errors="replace")


def answers(command: Sequence[str | Path], *, timeout: float = 5) -> bool:
    """Whether `command` exists and succeeds soon."""
    try:
        run(command, timeout=timeout)
    except CommandFailed:
        return False
    return True


def twice(action: Callable[[], Result]) -> Result:
    """Do `action`, once more if it fails: registries hiccup, and one retry is what they are owed."""
    try:
        return action()
    except CommandFailed:
        return action()
