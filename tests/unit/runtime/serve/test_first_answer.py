from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tidemill.contract.serving import VersionOrder

ANSWERS = """
import json, sys
from pathlib import Path
import numpy as np
import tidemill.cli.serve, tidemill.runtime.serve.local
from tidemill.runtime.serve.app import ServingApp
from tidemill.runtime.serve.version.loading import from_folder
from tidemill.runtime.serve.version.model import Identity, ServedModel
from tidemill.runtime.serve.handlers.context import ServingContext

identity = Identity("ns", "houses", "house", "house-1", "sha256:" + "1" * 64, "Stable")
gate = ServingApp(ServingContext(identity, boot="b"))
model = ServedModel(identity, from_folder(Path(sys.argv[1])).predictor)
asked = model.row_codec.read(b'{"rows": [{"size": 2, "age": 1}]}', None)
content, _ = model.row_codec.write(asked, model.predictor.predict(asked.rows.matrix), "r-1")
print(json.dumps([json.loads(content)["predictions"], sorted(sys.modules)]))
"""

UNNEEDED = {
    "the kinds of the operator": "tidemill.api.dataset",
    "orders of runs": "tidemill.contract.orders",
    "the log's file format": "pyarrow",
    "learning": "sklearn",
    "asking a candidate": "aiohttp",
    "BentoML": "bentoml",
    "types that check themselves": "pydantic",
    "the store": "obstore",
}


@pytest.fixture
def loaded(publish: Callable[..., VersionOrder]) -> list[str]:
    """The modules that are there when a compiled model has given its first answer."""
    folder = publish("house-1").uri.removeprefix("file://")
    completed = subprocess.run(
        [sys.executable, "-c", ANSWERS, folder], check=True, capture_output=True, text=True
    ).stdout
    predictions, modules = json.loads(completed)
    assert [1] == predictions
    return list(modules)


def test_a_compiled_model_answers_before_anything_is_loaded_that_it_does_not_need(loaded: list[str]) -> None:
    assert {} == {what: module for what, module in UNNEEDED.items() if module in loaded}
    assert "onnxruntime" in loaded
