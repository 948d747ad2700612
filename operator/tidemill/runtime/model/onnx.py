"""An ONNX model as something to ask: one thread, and for single rows buffers that are bound once and used again.

Handing arrays to ONNX Runtime and taking new ones from it costs more than answering one row. So the input and the outputs
of a single row lie in memory that is bound when the model is loaded; an answer is a copy in, the run, and a copy out.
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.model.answer import Answer, Ask, Matrix
from tidemill.runtime.model.signature import Signature

SLIMMED: Final = range(1 << 20, 64 << 20)
"""Sizes of files for which less memory is worth a tenth of a second; larger ones would need as much disk again."""


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """An ONNX model that answers rows."""

    ask: Ask
    largest: float
    """The largest number that its input can hold: values beyond it would become infinite."""

    def __call__(self, matrix: Matrix) -> Answer:
        return self.ask(matrix)


def compiled(file: Path, signature: Signature) -> CompiledModel:
    """Return the ONNX model in `file`; raises ArtifactCorrupt where it cannot be run here."""
    try:
        session = _slim(file) if file.stat().st_size in SLIMMED else _session(file)
    except Exception as error:  # onnxruntime raises classes of its own, without a common base but this
        raise ArtifactCorrupt(
            f"{file.name} cannot be loaded as an ONNX model: {error}; train the model again"
        ) from error
    batch = _batch(session, signature)
    single = _single_row(session, signature, batch)
    return CompiledModel(batch if single is None else single, float(np.finfo(_kind(session)).max))


def _session(file: Path, **more: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One row is answered in microseconds; handing it to another thread would take longer than the work.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # whatever fails is raised, and told by who asked
    for name, value in more.items():
        setattr(options, name, value)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _slim(file: Path) -> Any:
    """A session of the same model that holds half the memory.

    ONNX Runtime keeps all that it parsed: of a forest's file, five times its size. What it has written in its own form once, for
    this machine, it reads without that.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="tidemill-slim-") as scratch:
            own = Path(scratch) / "model.ort"  # by its ending it is written, and read, in that form
            _session(file, optimized_model_filepath=str(own))
            return _session(own)
    except Exception:  # a full disk, or a model that cannot be written so, does not keep it from answering
        return _session(file)


def _outputs(session: Any, signature: Signature) -> list[str]:
    names = [output.name for output in session.get_outputs()]
    return names[: 2 if signature.task == "Classification" and signature.gives_probabilities else 1]


def _kind(session: Any) -> type[np.floating[Any]]:
    return np.float64 if session.get_inputs()[0].type == "tensor(double)" else np.float32


def _batch(session: Any, signature: Signature) -> Ask:
    name, kind, outputs = session.get_inputs()[0].name, _kind(session), _outputs(session, signature)
    run = session.run
    if signature.task == "Regression":
        return lambda matrix: Answer(
            run(outputs, {name: matrix.astype(kind, copy=False)})[0].reshape(-1).astype(np.float64)
        )
    return lambda matrix: Answer(*run(outputs, {name: matrix.astype(kind, copy=False)}))


def _single_row(session: Any, signature: Signature, batch: Ask) -> Ask | None:
    """Return `batch`, but quicker for a single row; None where the model's outputs are no plain arrays of numbers."""
    from onnxruntime import OrtValue

    outputs = _outputs(session, signature)
    row = np.zeros((1, len(signature.features)), _kind(session))
    try:
        given = session.run(outputs, {session.get_inputs()[0].name: row})
        buffers = [np.empty_like(values) for values in given]
        binding = session.io_binding()
        binding.bind_ortvalue_input(session.get_inputs()[0].name, OrtValue.ortvalue_from_numpy(row))
        for output, buffer in zip(outputs, buffers, strict=True):
            binding.bind_ortvalue_output(output, OrtValue.ortvalue_from_numpy(buffer))
        session.run_with_iobinding(binding)
    except Exception:  # whatever cannot be bound is asked the plain way, which says what is wrong if anything is
        return None
    regression = signature.task == "Regression"
    run = session.run_with_iobinding
    lock = threading.Lock()

    def ask(matrix: Matrix) -> Answer:
        if len(matrix) != 1 or not lock.acquire(blocking=False):
            return batch(matrix)
        try:
            row[...] = matrix
            run(binding)
            if regression:
                return Answer(buffers[0].reshape(-1).astype(np.float64))
            return Answer(*[buffer.copy() for buffer in buffers])
        finally:
            lock.release()

    return ask
