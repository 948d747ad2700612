"""The commands take Arrow's memory from jemalloc, which a long stream needs to stay within its bound."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

ASKS = """
import json, runpy, sys
sys.argv = ["tidemill", "drift", "--help"]
try:
    runpy.run_module("tidemill", run_name="__main__")
except SystemExit:
    pass
import pyarrow
print(json.dumps(pyarrow.default_memory_pool().backend_name))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Arrow is built without it elsewhere")
@pytest.mark.parametrize(
    ("environment", "taken"), [({}, "jemalloc"), ({"ARROW_DEFAULT_MEMORY_POOL": "system"}, "system")]
)
def test_a_command_takes_jemalloc_where_nobody_said_otherwise(environment: dict[str, str], taken: str) -> None:
    others = {name: text for name, text in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}

    head = subprocess.run(
        [sys.executable, "-c", ASKS], env={**others, **environment}, check=True, capture_output=True, text=True
    )

    assert "" == head.stderr
    assert taken == json.loads(head.stdout.splitlines()[-1])
