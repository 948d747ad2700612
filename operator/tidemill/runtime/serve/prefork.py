"""Several serving processes on one port: forked from one that has loaded what they share, started again when one dies."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
"""The option of prctl(2) that sets the signal which a process gets when its parent ends."""
RESTART_WAIT_SECONDS: Final = 1.0
"""Seconds before a process that died is started again."""


def sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Listening sockets on one port, among which the kernel spreads connections; raises OSError where the port is taken."""
    opened: list[socket.socket] = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(count):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, opened[0].getsockname()[1] if opened else port))
        listener.listen(2048)
        opened.append(listener)
    return opened


def apart(work: Callable[[], bytes]) -> bytes:
    """Return the result of `work` in a process of its own, with which the threads end that it needed.

    Forked before anything else has threads, so that this process can be forked again. Raises ChildProcessError with
    the message of the error where `work` fails.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        code = 1
        try:
            try:
                result, code = work(), 0
            except Exception as error:
                result = str(error).encode()
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(result)
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pipe.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise ChildProcessError(result.decode(errors="replace") or "a process ended before it could say why")
    return result


def share() -> None:
    """Keep loaded objects as they are, so that processes forked from this one need no copy of them."""
    gc.collect()
    gc.freeze()


def _end_with(parent: int) -> None:
    """Have the kernel stop this process when `parent` ends, whatever ended it; only Linux can do so."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


def run(count: int, host: str, port: int, work: Callable[[socket.socket, int], None]) -> None:
    """Run `work` in `count` processes until told to stop, and wait for them; each gets its socket and its index among them."""
    opened = sockets(host, port, count)
    indexes: dict[int, int] = {}
    """By process."""
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        for listening in opened:
            listening.close()  # the processes have descriptors of their own, and close them when they stop to accept
        for child in indexes:
            os.kill(child, signal.SIGTERM)

    parent = os.getpid()

    def start(index: int) -> None:
        child = os.fork()
        if child:
            indexes[child] = index
            return
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            _end_with(parent)
            for other, listening in enumerate(opened):
                if other != index:
                    listening.close()
            work(opened[index], index)
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    for index in range(count):
        start(index)
    while indexes:
        child, _ = os.wait()
        if child in indexes:
            index = indexes.pop(child)
            if not stopping:
                time.sleep(RESTART_WAIT_SECONDS)
                start(index)
