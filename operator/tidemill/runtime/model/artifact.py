"""A model version's folder: what is in it, how the estimator in it is written, and what of a file is trusted when it is read.

    manifest.json   every other file with its digest
    model.skops     the estimator          model.onnx      the same, compiled, where its answers are the same
    signature.json  what it takes, gives   golden.json     rows with the answers they must get
    profile.json    what it should meet    evaluation.json what was measured
    sample.parquet  rows like those it should meet      answers.parquet  its answers to rows it was not trained on
    typical.json    rows and values as they were in training, for explanations and outlier scores
    trials.json     what a search for parameters tried, where there was one
    trained.json    the run's answer       README.md, MLmodel, report.html for people and other tools

No pickle is read or written. skops builds only objects of types it is told to trust, and it is told these here: what a
file asks for beyond them makes it corrupt.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any, Final

from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.model.sklearn_internals import SUPPORTED, TRUSTED

PROFILE_FILE: Final = "profile.json"
SAMPLE_FILE: Final = "sample.parquet"
ANSWERS_FILE: Final = "answers.parquet"
EVALUATION_FILE: Final = "evaluation.json"
TRAINED_FILE: Final = "trained.json"
TRIALS_FILE: Final = "trials.json"
CARD_FILE: Final = "README.md"
MLMODEL_FILE: Final = "MLmodel"
REPORT_FILE: Final = "report.html"

_ZIP: Final = b"PK\x03\x04"
_MAX_BYTES: Final = 8 << 30
"""No estimator unpacks to more bytes than this; a small file that does is a bomb."""


def write_estimator(estimator: Any, path: Path) -> None:
    """Write a fitted estimator with skops; the same estimator is the same bytes.

    skops names parts by their address in memory and stamps them with the time; here they are counted, and it is always 1980.
    """
    from skops import io as skops

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = skops.dumps(estimator)
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        schema = json.loads(source.read("schema.json"))
        files: dict[str, str] = {}
        _renumber(schema, {}, files)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            for old, new in files.items():
                target.writestr(zipfile.ZipInfo(new), source.read(old), zipfile.ZIP_DEFLATED)
            target.writestr(
                zipfile.ZipInfo("schema.json"), json.dumps(schema, separators=(",", ":")), zipfile.ZIP_DEFLATED
            )


def _renumber(node: Any, ids: dict[int, int], files: dict[str, str]) -> None:
    """Give every part of a skops schema a number in order of appearance, and its file that name."""
    if isinstance(node, list):
        for child in node:
            _renumber(child, ids, files)
    elif isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
        if isinstance(node.get("file"), str) and node.get("__loader__"):
            name = node["file"]
            node["file"] = files.setdefault(name, f"{len(files)}.{name.rpartition('.')[2]}")
        for child in node.values():
            _renumber(child, ids, files)


def estimator_of(path: Path) -> Any:
    """The estimator in a skops file; raises ArtifactCorrupt where the file is anything else, or asks for a type that is not trusted."""
    with path.open("rb") as file:
        if file.read(4) != _ZIP:
            raise ArtifactCorrupt(f"{path.name} is not a skops file; train the model again")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                raise ArtifactCorrupt(f"{path.name} would unpack to more than {_MAX_BYTES >> 30} GiB; it is not opened")
    except zipfile.BadZipFile as error:
        raise ArtifactCorrupt(f"{path.name} is damaged: {error}; train the model again") from error
    from skops import io as skops

    SUPPORTED.require()
    try:
        wanted = skops.get_untrusted_types(file=path)
        refused = sorted(set(wanted) - TRUSTED)
        if refused:
            raise ArtifactCorrupt(
                f"{path.name} holds {', '.join(refused[:5])}, types that are not trusted; train the model again with parameters that need none of them"
            )
        with warnings.catch_warnings():
            # Another release of scikit-learn is judged by the golden rows, not by a warning.
            warnings.simplefilter("ignore")
            return skops.load(path, trusted=wanted)
    except ArtifactCorrupt:
        raise
    except Exception as error:  # a forged file can make skops, numpy or scikit-learn raise anything
        raise ArtifactCorrupt(
            f"{path.name} cannot be read: {type(error).__name__}: {str(error)[:200]}; train the model again"
        ) from error
