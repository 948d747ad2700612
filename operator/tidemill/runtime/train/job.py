"""A training run: rows in, a model version out, published with the evidence for it."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from tidemill.api.base import WireModel
from tidemill.api.modelversion import Measured
from tidemill.contract.orders import TrainOrder, digest_of
from tidemill.contract.reports import Trained
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.failures import ArtifactCorrupt, InvalidParameters, TrainingFailed
from tidemill.runtime.model import artifact, background, predictor
from tidemill.runtime.model.answer import REFUSALS, Answer, Ask, finite_rows, reason_of, refusals
from tidemill.runtime.model.encoding import encode, features_of
from tidemill.runtime.model.predictor import Golden, Matrix, Predictor
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.model.sklearn_internals import silence_answers
from tidemill.runtime.scoring import scorers
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.train import card, estimators, expected, finished, fitting, importance, report, tuning
from tidemill.runtime.train.compiler import Compiled, compile_model
from tidemill.runtime.train.estimators import KnownEstimator
from tidemill.runtime.train.judging import Judging
from tidemill.runtime.train.probes import golden_rows
from tidemill.runtime.train.rows import MIN_SERVED_ROWS, LabelledTable, Material, gather
from tidemill.runtime.train.tuning import Search

logger = logging.getLogger(__name__)

_SMALL: Final = 2_000_000
"""Cells of a matrix below which one thread is quicker than several that wait for each other."""
_MAX_WARNINGS: Final = 20


def train(order: TrainOrder, store: ObjectStore, scratch: Path) -> tuple[Trained, tuple[str, ...]]:
    """Carry out `order` and say what came of it, with warnings; an order that was carried out before is not repeated.

    Raises a RunFailed.
    """
    known = estimators.find(order.estimator.name)
    if order.learn not in ("Auto", known.task):
        raise InvalidParameters(
            f"spec.task is {order.learn}, but {known.name} is for {known.task}; correct one of the two"
        )
    folder = f"{order.namespace}/models/{order.model}/{order.version}"
    before = finished.find(order, store, folder)
    if before:
        return before
    estimator = estimators.make(known, order.estimator.parameters, order.seed)
    names = scorers.chosen(order.metrics, known.task)
    if order.tuning is not None:
        tuning.check(order.tuning, known)
    revision = store.fetch(order.dataset_uri, order.dataset_digest, scratch / "dataset")
    rows = gather(
        revision,
        known.task,
        order.served_rows,
        order.namespace,
        store,
        order.seed,
        new_rows=order.new_rows is True,
        label_dataset=order.label_dataset,
    )
    with _threads(rows), warnings.catch_warnings():
        silence_answers()
        return _Run(order, store, scratch, known, names, rows).publish(estimator, folder)


class _Run:
    """One run with its inputs at hand."""

    def __init__(
        self,
        order: TrainOrder,
        store: ObjectStore,
        scratch: Path,
        known: KnownEstimator,
        metrics: tuple[str, ...],
        rows: Material,
    ) -> None:
        self.order, self.store, self.scratch = order, store, scratch
        self.known, self.metrics, self.rows = known, metrics, rows
        self.warnings = [*rows.warnings]

    def publish(self, estimator: Any, folder: str) -> tuple[Trained, tuple[str, ...]]:
        """Fit, measure, compile and publish."""
        features, column_warnings = features_of(self.rows.training.table, self.rows.schema.features)
        self.warnings += column_warnings
        if not features:
            raise TrainingFailed(
                "the Dataset has no column that a model can take; give a column of numbers or categories the role Feature"
            )
        matrix = encode(self.rows.training.table, features)
        self.warnings += importance.know_too_much(matrix, self.rows.training.truth, features)
        self._must_take_gaps(estimator, features, matrix)
        search = self._search(features, matrix)
        parameters = dict(self.order.estimator.parameters)
        if search is not None:
            parameters |= search.best.parameters
        estimator = estimators.make(self.known, parameters, self.order.seed, self.rows.target.classes)
        model = self._fit(estimator, features, matrix)
        signature = fitting.signature(
            self.order, self.known, self.rows.target, features, model, self.rows.held_out.truth
        )
        held_out = encode(self.rows.held_out.table, features)
        ask = predictor.estimated(model, signature)
        ordinary = self._answers_to_held_out(ask, held_out)
        golden = Golden.of(ask, golden_rows(held_out, signature), ordinary)
        compiled = self._compile(model, signature, np.vstack([held_out, matrix]), ask)
        weights = importance.permutation_importance(
            self._quickest(compiled, signature, ask), held_out, self.rows.held_out.truth, self.order.seed
        )
        signature = signature.model_copy(
            update={
                "features": tuple(
                    feature.model_copy(update={"importance": float(weight)})
                    for feature, weight in zip(features, weights, strict=True)
                ),
                "protected": self.rows.protected,
            }
        )
        served_files = self._served_files(model, signature, golden, compiled, matrix)
        served = self._loaded(served_files)
        self._leave_refused_out(served)
        evaluation = self._evaluate(served, held_out)
        profile = expected.profile(self.rows, signature, served.predict)
        trained = Trained(
            uri="s3://unknown",
            digest=f"sha256:{'0' * 64}",
            compiled=bool(compiled.content),
            learned=self.known.task,
            evaluation=evaluation,
            rows=len(self.rows.training),
            served_rows=self.rows.served,
            parameters=parameters,
            search=search.searched() if search else None,
        )
        kept = finished.Finished(
            order=digest_of(self.order), trained=trained, warnings=tuple(self.warnings[:_MAX_WARNINGS])
        )
        files: dict[str, bytes | Path] = {
            **served_files,
            artifact.PROFILE_FILE: profile.to_json(),
            artifact.SAMPLE_FILE: expected.sample(self.rows, signature),
            artifact.ANSWERS_FILE: expected.answers(self.rows, signature, served.predict),
            artifact.EVALUATION_FILE: orjson.dumps(
                [measured.to_wire() for measured in evaluation], option=orjson.OPT_INDENT_2
            ),
            artifact.TRAINED_FILE: _json(kept),
            artifact.CARD_FILE: card.readme(self.order, self.known, signature, kept, compiled.reason, search).encode(),
            artifact.MLMODEL_FILE: card.mlmodel(self.order, signature, compiled=bool(compiled.content)).encode(),
        }
        if search is not None:
            files[artifact.TRIALS_FILE] = _json(search)
        answer = served.predict(held_out)
        page = report.page(
            self.order, self.known, signature, kept, self.rows.held_out.truth, answer, compiled.reason, search
        )
        published = self.store.publish(folder, files, {artifact.REPORT_FILE: page.encode()})
        logger.info("published %s, trained on %d rows, as %s", self.order.version, trained.rows, published.uri)
        return finished.located(trained, published.uri, published.digest), kept.warnings

    def _answers_to_held_out(self, ask: Ask, held_out: Matrix) -> Answer:
        """The estimator's answers to the hold-out; raises TrainingFailed where it has none to some of its rows."""
        try:
            answer = ask(held_out)
            finite = finite_rows(answer)
            reason = "its answer is not a finite number"
        except REFUSALS as error:
            finite = np.ones(len(held_out), np.bool_)
            refused = list(refusals(ask, held_out))
            if not refused:
                raise TrainingFailed(
                    f"{self.known.name} cannot answer the hold-out: {reason_of(error)}; change its parameters"
                ) from error
            finite[[row for row, _ in refused]] = False
            reason = refused[0][1]
        if not finite.all():
            raise TrainingFailed(
                f"{self.known.name} has no answer to {np.count_nonzero(~finite)} of {len(held_out)} rows of the hold-out: "
                f"{reason.rstrip('.')}; change its parameters, or choose another estimator"
            )
        return answer

    def _served_files(
        self, model: Any, signature: Signature, golden: Golden, compiled: Compiled, matrix: Matrix
    ) -> dict[str, Path]:
        """The files that a server reads, written as they will be published."""
        folder = self.scratch / "version"
        folder.mkdir()
        try:
            artifact.write_estimator(model, folder / predictor.MODEL_FILE)
        except Exception as error:  # skops raises classes of its own for what it cannot write
            raise TrainingFailed(
                f"{self.known.name} with these parameters cannot be written to a file: {reason_of(error)}; change spec.estimator.parameters"
            ) from error
        contents = {
            predictor.SIGNATURE_FILE: orjson.dumps(signature.to_wire(), option=orjson.OPT_INDENT_2),
            predictor.GOLDEN_FILE: golden.to_json(),
            predictor.TYPICAL_FILE: background.of(matrix, signature, self.order.seed).to_json(),
            **({predictor.COMPILED_FILE: compiled.content} if compiled.content else {}),
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return {name: folder / name for name in (predictor.MODEL_FILE, *contents)}

    def _loaded(self, files: Mapping[str, Path]) -> Predictor:
        """The version as a server loads it from these files; raises TrainingFailed where no server could."""
        folder = files[predictor.MODEL_FILE].parent
        try:
            # Explanations read the estimator, also where the compiled form answers.
            artifact.estimator_of(files[predictor.MODEL_FILE])
            served = predictor.load(folder)
        except ArtifactCorrupt as error:
            raise TrainingFailed(
                f"{self.known.name} with these parameters could not be served, so it is not published: {error.message}; change spec.estimator.parameters, or choose another estimator"
            ) from error
        if served.note:
            raise TrainingFailed(
                f"the compiled form of {self.known.name} does not answer as it did when it was compiled: {served.note}; start the run again"
            )
        return served

    def _search(self, features: tuple[Feature, ...], matrix: Matrix) -> Search | None:
        """The best parameters, where the order asks to look for them; only training rows have a say."""
        wanted = self.order.tuning
        if wanted is None:
            return None
        judge = Judging(self.order, wanted, self.known, self.rows.target, features, matrix, self.rows.training)
        search = tuning.search(wanted, self.order.seed, judge, time.monotonic)
        self.warnings += search.warnings
        return search

    def _fit(self, estimator: Any, features: tuple[Feature, ...], matrix: Matrix) -> Any:
        model = fitting.prepared(self.order, self.known, estimator, features)
        with self._noting():
            fitting.fit(self.known, model, matrix, self.rows.training)
        return model

    def _must_take_gaps(self, estimator: Any, features: tuple[Feature, ...], matrix: Matrix) -> None:
        """Raises TrainingFailed where nothing fills gaps that the estimator does not take."""
        if self.order.estimator.preprocessing == "Auto" or fitting.takes_missing(estimator):
            return
        if np.isnan(matrix).any() or np.isnan(encode(self.rows.held_out.table, features)).any():
            raise TrainingFailed(
                f"{self.known.name} takes no missing values, there are some, and spec.estimator.preprocessing is None; set it to Auto, or fill the gaps"
            )

    def _leave_refused_out(self, served: Predictor) -> None:
        """Served rows that the version refuses are nothing that it can be measured on, or will ever answer."""
        recent, met, unseen = self.rows.recent, self.rows.met, self.rows.unseen
        if recent is not None and len(recent):
            recent = recent.take(self._accepted(served, recent.table))
        if met is not None and unseen is not None:
            accepted = self._accepted(served, met)
            met, unseen = met.filter(pa.array(accepted)), unseen[accepted]
            if met.num_rows < MIN_SERVED_ROWS:
                met, unseen = None, None
        self.rows = replace(self.rows, recent=recent, met=met, unseen=unseen)

    def _accepted(self, served: Predictor, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows the version answers; warns of those that it refuses for anything but a gap."""
        matrix = encode(table, served.signature.features)
        accepted = np.ones(len(matrix), np.bool_)
        if not served.signature.takes_missing:
            accepted = ~np.isnan(matrix).max(axis=1)
        whole = np.flatnonzero(accepted)
        refused = list(refusals(served.predict, matrix[whole]))
        if refused:
            accepted[whole[[row for row, _ in refused]]] = False
            self.warnings.append(
                f"{len(refused)} recent served rows are left out, because the version refuses them: {refused[0][1]}"
            )
        return accepted

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Add each warning of scikit-learn to the warnings of the run, once."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for message in dict.fromkeys(
            str(warning.message).strip().splitlines()[0][:300] for warning in caught if str(warning.message).strip()
        ):
            self.warnings.append(f"{self.known.name}: {message}")

    def _compile(self, model: Any, signature: Signature, matrix: Matrix, ask: Ask) -> Compiled:
        rows = matrix if signature.takes_missing else matrix[~np.isnan(matrix).any(axis=1)]
        compiled = compile_model(model, signature, rows, ask, self.scratch)
        if compiled.reason:
            logger.info("not compiled: %s", compiled.reason)
        return compiled

    def _quickest(self, compiled: Compiled, signature: Signature, ask: Ask) -> Ask:
        if not compiled.content:
            return ask
        file = self.scratch / predictor.COMPILED_FILE
        file.write_bytes(compiled.content)
        return predictor.compiled(file, signature).ask

    def _evaluate(self, model: Predictor, held_out: Matrix) -> tuple[Measured, ...]:
        """The metrics on the hold-out and on recent rows, of this version and of the one in service."""
        stable = self._stable()
        measurements = [self._measured("Holdout", self.rows.held_out, held_out, model, stable)]
        if self.rows.recent is not None and len(self.rows.recent):
            recent = encode(self.rows.recent.table, model.signature.features)
            measurements.append(self._measured("RecentLabelled", self.rows.recent, recent, model, stable))
        elif self.rows.recent is not None:
            self.warnings.append("no recent served rows have labels, so RecentLabelled gates cannot be judged")
        return tuple(measurements)

    def _measured(
        self, on: Any, rows: LabelledTable, matrix: Matrix, model: Predictor, stable: Predictor | None
    ) -> Measured:
        metrics, unknown = scorers.measure(self.metrics, rows.truth, model.predict(matrix), model.signature)
        self.warnings += [f"{on}: {sentence}" for sentence in unknown]
        others: dict[str, float] = {}
        if stable is not None:
            try:
                answer = stable.predict(encode(rows.table, stable.signature.features))
            except ValueError as error:
                self.warnings.append(f"{on}: the version in service could not be measured: {error}")
            else:
                answer = scorers.translated(answer, stable.signature.classes, model.signature.classes)
                others, _ = scorers.measure(self.metrics, rows.truth, answer, model.signature)
        return Measured(on=on, rows=len(rows), metrics=metrics, stable=others)

    def _stable(self) -> Predictor | None:
        version: VersionOrder | None = self.order.stable
        if version is None:
            return None
        try:
            stable = predictor.load(self.store.fetch(version.uri, version.digest, self.scratch / "stable"))
        except ArtifactCorrupt as error:
            self.warnings.append(f"the version in service, {version.name}, could not be measured: {error.message}")
            return None
        if stable.signature.task != self.known.task:
            self.warnings.append(
                f"the version in service, {version.name}, is for {stable.signature.task} and was not compared with"
            )
            return None
        return stable


@contextmanager
def _threads(rows: Material) -> Iterator[None]:
    """One thread for little work: several would wait for each other most of the time."""
    from threadpoolctl import threadpool_limits

    small = len(rows.training) * len(rows.schema.features) < _SMALL
    with threadpool_limits(limits=1 if small else None):
        yield


def _json(value: WireModel) -> bytes:
    return orjson.dumps(value.to_wire(), option=orjson.OPT_INDENT_2)
