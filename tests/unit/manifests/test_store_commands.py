"""The commands of docs/operations.md for files of the object store, run against the real store with a kubectl that is a script."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from pathlib import Path

import pytest

from support import gateway

DOCUMENT = Path(__file__).parents[3] / "docs" / "operations.md"
REPORT = f"s3://{gateway.BUCKET}/models/monitors/iris/report.html"
KUBECTL = f"""\
#!/bin/sh
case "$*" in
  *access-key-id*) printf {base64.b64encode(gateway.KEY.encode()).decode()} ;;
  *secret-access-key*) printf {base64.b64encode(gateway.SECRET.encode()).decode()} ;;
  *reportUri*) printf {REPORT} ;;
esac
"""


def block() -> str:
    section = DOCUMENT.read_text().partition("## Files of the object store")[2]
    commands = re.search(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert commands is not None
    return commands[1]


def test_a_file_is_put_into_the_store_and_a_report_is_read_from_it(tmp_path: Path) -> None:
    if subprocess.run(["curl", "--aws-sigv4", "", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("curl is older than 7.75, or not there")
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    (tmp_path / "wine.csv").write_text("cultivar,alcohol\nbarolo,14.2\n")
    with gateway.gateway(tmp_path / "store") as endpoint:
        folder = tmp_path / "store" / gateway.BUCKET
        (folder / "models/monitors/iris").mkdir(parents=True)
        (folder / "models/monitors/iris/report.html").write_text("<h1>Drift report</h1>")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block().replace("http://localhost:7070", endpoint)],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "NO_PROXY": "*", "no_proxy": "*"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert "barolo" in (folder / "sources/wine.csv").read_text()
    assert "<h1>Drift report</h1>" == (tmp_path / "report.html").read_text()
