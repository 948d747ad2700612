"""A real S3 server for a test: the Versity S3 Gateway on a folder, as Tidemill's own store runs it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster import programs, versions
from tidemill.runtime.store.objects import ObjectStore

KEY, SECRET, BUCKET = "tide", "mill-secret", "tidemill"
PATIENCE = 30.0
"""Seconds until a server that does not come up fails the test."""


@contextmanager
def gateway(folder: Path) -> Iterator[str]:
    """The endpoint of a server with one bucket; skips the test where the server was not built yet."""
    binary = programs.path(versions.STORE)
    if not binary.exists():
        pytest.skip("the S3 server is not built yet; `make cluster-up` builds it")
    (folder / BUCKET).mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [binary, "--port", f"127.0.0.1:{port}", "--quiet", "posix", str(folder)],
        env={**os.environ, "ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def open_store(endpoint: str, uri: str = f"s3://{BUCKET}", secret: str = SECRET) -> ObjectStore:
    """Return the store in that server's bucket."""
    return ObjectStore.open(uri, endpoint=endpoint, access_key_id=KEY, secret_access_key=secret)


def secret(folder: Path, endpoint: str, **changes: str) -> Path:
    """The Secret of that server's bucket, as it is mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {
        "uri": f"s3://{BUCKET}",
        "endpoint": endpoint,
        "region": "us-east-1",
        "access-key-id": KEY,
        "secret-access-key": SECRET,
    }
    for name, text in {**entries, **changes}.items():
        (folder / name).write_text(text)
    return folder


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the S3 server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the S3 server does not listen")
