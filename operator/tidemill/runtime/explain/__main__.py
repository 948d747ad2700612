"""The process that explains: reads rows from standard input and writes why the model answers them so, until that ends.

    python -m tidemill.runtime.explain model.skops=3 model.onnx=4 signature.json=5 golden.json=6 typical.json=7

Each argument names a file of the version's folder and the descriptor that it is open as.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, Final

GENTLE: Final = 10
"""A tenth of a processor that is busy with answers."""


def main(arguments: list[str]) -> None:
    """Explain until standard input ends."""
    os.setpriority(os.PRIO_PROCESS, 0, GENTLE)
    # What libraries print must not come between the messages.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(prefix="tidemill-explain-") as scratch:
        folder = Path(scratch)
        for argument in arguments:
            name, _, descriptor = argument.partition("=")
            (folder / name).symlink_to(f"/dev/fd/{descriptor}")
        _explain(folder, sys.stdin.buffer, answers)


def _explain(folder: Path, asked: BinaryIO, answers: BinaryIO) -> None:
    from tidemill.runtime.explain import messages
    from tidemill.runtime.explain.methods import explained, explainer
    from tidemill.runtime.explain.values import output_of
    from tidemill.runtime.model.artifact import estimator_of
    from tidemill.runtime.model.background import Background
    from tidemill.runtime.model.predictor import MODEL_FILE, TYPICAL_FILE, load

    predictor = load(folder)
    estimator = estimator_of(folder / MODEL_FILE) if (folder / MODEL_FILE).exists() else None
    background = Background.from_json((folder / TYPICAL_FILE).read_bytes()).rows
    ask = output_of(predictor.predict, predictor.signature)
    explain = explainer(ask, estimator, predictor.signature, background)
    answers.write(messages.framed(messages.READY))
    answers.flush()
    while head := asked.read(messages.LENGTH.size):
        (length,) = messages.LENGTH.unpack(head)
        rows = messages.rows_from_bytes(asked.read(length))
        answers.write(messages.framed(messages.to_bytes(explained(explain, predictor.predict, rows))))
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
