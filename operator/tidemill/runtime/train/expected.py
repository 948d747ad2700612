"""What a version expects to meet and to answer: the reference that a monitor compares each window with.

Features are those of the recent served rows where there are enough of them, so that a monitor goes quiet once a version
made for the new world is in service; else those of the rows learnt from. Answers are the version's own, on rows it has
not learnt from: on the others it is surer of itself than it will ever be again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tidemill.contract import LogColumn
from tidemill.runtime.encoding import encode
from tidemill.runtime.predictor import Answer, Matrix
from tidemill.runtime.profile import Profile, ProfiledColumn, profile_table
from tidemill.runtime.signature import Signature
from tidemill.runtime.train.rows import LEAST_MET, Material


def profile(rows: Material, signature: Signature, ask: Callable[[Matrix], Answer]) -> Profile:
    """The reference profile, its columns named as in the prediction log."""
    met, answered = rows.learnt.table, rows.held_out.table
    if rows.met is not None and rows.unseen is not None:
        met = rows.met
        unseen = met.filter(pa.array(rows.unseen))
        answered = unseen if unseen.num_rows >= LEAST_MET else met
    names = [feature.name for feature in signature.features]
    inputs = met.select(names).rename_columns([LogColumn.FEATURE + name for name in names])
    of_inputs = profile_table(
        inputs, [ProfiledColumn(LogColumn.FEATURE + feature.name, feature.type) for feature in signature.features]
    )
    outputs = as_logged(ask(encode(answered, signature.features)), signature)
    classification = signature.task == "Classification"
    kinds = [ProfiledColumn(LogColumn.PREDICTION, "Categorical" if classification else "Numerical")]
    if LogColumn.SCORE in outputs.column_names:
        kinds.append(ProfiledColumn(LogColumn.SCORE, "Numerical"))
    return Profile(of_inputs.rows, (*of_inputs.columns, *profile_table(outputs, kinds).columns))


def as_logged(answer: Answer, signature: Signature) -> pa.Table:
    """Answers as a service logs them: labels as text or numbers, and the probability of the label."""
    if signature.task == "Regression":
        return pa.table({LogColumn.PREDICTION: pa.array(answer.values, pa.float64())})
    texts = np.array([str(label) for label in signature.classes], dtype=object)
    logged = {LogColumn.PREDICTION: pa.array(texts[answer.values], pa.string())}
    if answer.probabilities is not None:
        chosen = np.asarray(answer.probabilities, np.float64)[np.arange(len(answer.values)), answer.values]
        logged[LogColumn.SCORE] = pa.array(chosen, pa.float64())
    return pa.table(logged)
