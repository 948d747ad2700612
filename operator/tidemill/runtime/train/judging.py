"""Judges parameters by cross-validation on the training rows; the hold-out has no say."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from tidemill.api.base import Parameter
from tidemill.api.tuning import Tuning
from tidemill.contract.orders import TrainOrder
from tidemill.runtime.failures import TrainingFailed
from tidemill.runtime.model import predictor
from tidemill.runtime.model.predictor import Matrix
from tidemill.runtime.model.signature import Feature
from tidemill.runtime.scoring import scorers
from tidemill.runtime.train import estimators, fitting
from tidemill.runtime.train.estimators import KnownEstimator
from tidemill.runtime.train.folds import folds
from tidemill.runtime.train.rows import LabelledTable
from tidemill.runtime.train.target import TrainingTarget


class Judging:
    """The judge of a run's trials; every trial is judged on the same folds."""

    def __init__(
        self,
        order: TrainOrder,
        tuning: Tuning,
        known: KnownEstimator,
        target: TrainingTarget,
        features: tuple[Feature, ...],
        matrix: Matrix,
        rows: LabelledTable,
    ) -> None:
        self.order, self.known, self.target = order, known, target
        self.features, self.matrix, self.rows = features, matrix, rows
        self.metric = tuning.objective.metric
        count = tuning.objective.validation.folds
        self.folds = folds(rows.group_ids, rows.truth, known.task, count, order.seed)

    def __call__(self, parameters: dict[str, Parameter]) -> Iterator[float]:
        """The metric on one fold after another; raises InvalidParameters or TrainingFailed."""
        unknown: tuple[str, ...] = ()
        measured = False
        for number in np.unique(self.folds[self.folds >= 0]):
            score, problems = self._score(parameters, self.folds == number)
            unknown += problems
            if score is not None:
                measured = True
                yield score
        if not measured:
            why = unknown[0] if unknown else "no fold has rows to judge by"
            raise TrainingFailed(f"{why}; take another metric or estimator, or fewer folds")

    def _score(
        self, parameters: dict[str, Parameter], judged: np.typing.NDArray[np.bool_]
    ) -> tuple[float | None, tuple[str, ...]]:
        given = {**self.order.estimator.parameters, **parameters}
        estimator = estimators.make(self.known, given, self.order.seed, self.target.classes)
        model = fitting.prepared(self.order, self.known, estimator, self.features)
        with warnings.catch_warnings():
            # The fit of the best parameters to all rows says what there is to say; hundreds of fits would only repeat it.
            warnings.simplefilter("ignore")
            fitting.fit(self.known, model, self.matrix[~judged], self.rows.take(~judged))
            signature = fitting.signature(self.order, self.known, self.target, self.features, model)
            try:
                answer = predictor.estimated(model, signature)(self.matrix[judged])
            except ValueError as error:
                raise TrainingFailed(f"{self.known.name} cannot answer: {str(error).splitlines()[0][:200]}") from error
        metrics, unknown = scorers.measure((self.metric,), self.rows.truth[judged], answer, signature)
        return metrics.get(self.metric), unknown
