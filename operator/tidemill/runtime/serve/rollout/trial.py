"""The score of a rollout as one stable pod sees it: both versions' requests, errors and latencies, and where both answered
the same row, their agreement and their quality on its label.

A score belongs to one pair of versions; another candidate is another trial and starts at zero.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tidemill.runtime.model.labels import ClassLabels, spelled
from tidemill.runtime.protocol.feedback import MAX_NUMBER

if TYPE_CHECKING:
    from tidemill.api.base import Scalar
    from tidemill.contract.serving import Arm, Measurements

BOUNDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds of the latency buckets, in seconds."""
AGREEMENT: Final = 0.01
"""The largest distance at which two numbers still agree, as a share of the standard deviation of the target."""
MAX_LABELS: Final = 200
"""Distinct labels that are told apart; what comes after is counted together."""
OTHER: Final = "(other)"

Answered = Sequence[str] | Sequence[float]
"""One answer per row: the class's text for classification, the number for regression."""


@dataclass(slots=True)
class Tally:
    """The counts of one version so far."""

    version: str
    digest: str
    requests: int = 0
    errors: int = 0
    latencies: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    labelled: int = 0
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)
    absolute_error: float = 0.0
    squared_error: float = 0.0
    label_sum: float = 0.0
    label_square_sum: float = 0.0
    scores: dict[str, int] = field(default_factory=dict)

    def answered(self, seconds: float) -> None:
        """Count a request that was answered within `seconds`."""
        self.requests += 1
        self.latencies[bisect_left(BOUNDS, seconds)] += 1

    def failed(self) -> None:
        """Count a request that got no answer, a late one or a malformed one."""
        self.requests += 1
        self.errors += 1

    def judge_class(self, answer: str, label: str) -> None:
        """Count an `answer` with the `label` that was right."""
        self.labelled += 1
        row = self.confusion.setdefault(label, {})
        row[answer] = row.get(answer, 0) + 1

    def judge_value(self, answer: float, label: float) -> None:
        """Count an `answer` with the `label` that was right."""
        self.labelled += 1
        label = _bounded_number(label)
        error = abs(_bounded_number(answer) - label)
        self.absolute_error += error
        self.squared_error += error * error
        self.label_sum += label
        self.label_square_sum += label * label

    def scored(self, counts: dict[str, int]) -> None:
        """Add the numbers of rows in each bin of scores."""
        for bin_name, count in counts.items():
            self.scores[bin_name] = self.scores.get(bin_name, 0) + count

    def to_arm(self) -> Arm:
        """This tally as it crosses the pod boundary."""
        from tidemill.contract.serving import Arm, Latencies

        return Arm(
            version=self.version,
            digest=self.digest,
            requests=self.requests,
            errors=self.errors,
            latencies=Latencies(bounds=BOUNDS, counts=tuple(self.latencies)),
            labelled=self.labelled,
            confusion={label: dict(row) for label, row in self.confusion.items()},
            absolute_error=self.absolute_error,
            squared_error=self.squared_error,
            label_sum=self.label_sum,
            label_square_sum=self.label_square_sum,
            scores=dict(self.scores),
        )


def _bounded_number(value: float) -> float:
    """Return `value` within ±MAX_NUMBER: sums of squares stay finite, and a large error is not hidden.

    >>> _bounded_number(-1e200), _bounded_number(float("nan")), _bounded_number(2.5)
    (-1e+100, 1e+100, 2.5)
    """
    return min(max(value, -MAX_NUMBER), MAX_NUMBER) if value == value else MAX_NUMBER


@dataclass(slots=True)
class PairedAnswers:
    """The answers of both versions to one request's rows; the stable one is asked later."""

    candidate: Answered
    stable: Answered | None = None
    waiting: dict[int, Scalar] = field(default_factory=dict)
    """Labels that came before the stable version was asked."""
    judged: set[int] = field(default_factory=set)
    """Rows whose label is counted; a label sent again changes nothing."""
    keys: tuple[str, ...] = ()
    """The client's keys of the rows."""


class RolloutTrial:
    """A candidate's trial against the stable version."""

    def __init__(
        self, stable: Tally, candidate: Tally, *, labels: ClassLabels | None, target_std: float, max_rows: int
    ) -> None:
        """`labels` are the stable version's classes (None for regression), `target_std` is the standard deviation of the
        target; pairs are kept for the last `max_rows` rows."""
        self.stable = stable
        self.candidate = candidate
        self.compared = 0
        self.agreed = 0
        self._labels = labels
        self._tolerance = AGREEMENT * target_std
        self._max_rows = max_rows
        self._rows = 0
        self._pairs: OrderedDict[str, PairedAnswers] = OrderedDict()
        self._keyed: dict[str, tuple[str, int]] = {}
        self._label_texts: set[str] = set(labels.texts) if labels else set()

    def remember(self, request: str, candidate: Answered, keys: Sequence[str] = ()) -> None:
        """The candidate answered a request; the stable version's answer and labels may follow, by the rows' keys where there
        are any."""
        if request in self._pairs:
            self._forget(request, self._pairs.pop(request))
        self._pairs[request] = PairedAnswers(candidate, keys=tuple(keys))
        self._rows += len(candidate)
        for row, key in enumerate(keys):
            self._keyed[key] = (request, row)
        while self._rows > self._max_rows and len(self._pairs) > 1:
            self._forget(*self._pairs.popitem(last=False))

    def _forget(self, request: str, pair: PairedAnswers) -> None:
        self._rows -= len(pair.candidate)
        for row, key in enumerate(pair.keys):
            if self._keyed.get(key) == (request, row):  # the key may mean a newer request by now
                del self._keyed[key]

    def compare(self, request: str, stable: Answered) -> None:
        """The stable version's answer to a request that the candidate answered."""
        pair = self._pairs.get(request)
        if pair is None or pair.stable is not None or len(pair.candidate) != len(stable):
            return
        pair.stable = stable
        self.compared += len(stable)
        self.agreed += sum(self._agree(stable[row], pair.candidate[row]) for row in range(len(stable)))
        for row, label in pair.waiting.items():
            self._judge(pair, row, label)
        pair.waiting.clear()

    def _agree(self, first: str | float, second: str | float) -> bool:
        if isinstance(first, str) or isinstance(second, str):
            return first == second
        return abs(first - second) <= self._tolerance

    def label(self, request: str, row: int, label: Scalar) -> bool:
        """The right answer to a row; False where this pod does not know that both versions answered it."""
        if row == 0 and request in self._keyed:
            request, row = self._keyed[request]
        pair = self._pairs.get(request)
        if pair is None or row >= len(pair.candidate):
            return False
        if pair.stable is None:
            pair.waiting[row] = label
        else:
            self._judge(pair, row, label)
        return True

    def _judge(self, pair: PairedAnswers, row: int, label: Scalar) -> None:
        if row in pair.judged or pair.stable is None:
            return
        pair.judged.add(row)
        if self._labels is not None:
            text = self._bounded(self._labels.text(label))
            self.stable.judge_class(spelled(pair.stable[row]), text)
            self.candidate.judge_class(self._bounded(spelled(pair.candidate[row])), text)
        elif not isinstance(label, str):
            self.stable.judge_value(float(pair.stable[row]), float(label))
            self.candidate.judge_value(float(pair.candidate[row]), float(label))

    def _bounded(self, text: str) -> str:
        if text not in self._label_texts:
            if len(self._label_texts) >= MAX_LABELS:
                return OTHER
            self._label_texts.add(text)
        return text

    def measurements(self, pod: str) -> Measurements:
        """The score so far."""
        from tidemill.contract.serving import Measurements

        return Measurements(
            pod=pod,
            stable=self.stable.to_arm(),
            candidate=self.candidate.to_arm(),
            compared=self.compared,
            agreed=self.agreed,
        )
