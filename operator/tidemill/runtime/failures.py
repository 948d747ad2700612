"""Why a run comes to nothing, each with its reason and what to do about it.

* RunFailed
  - the store
    - StoreCredentialsMissing   no Secret in this namespace
    - StoreUnreachable          no answer in time, or a refusal
    - ArtifactCorrupt           bytes that are not what their digest says
  - the source
    - SourceNotFound            nothing under that name
    - SourceUnreachable         no answer in time, or a refusal
    - SourceEmpty               no rows
    - SourceUnreadable          not a table in the format that was named or guessed
  - the rows
    - TransformFailed           a statement that cannot be run on them
    - OutOfMemory               more than the run may take
    - SchemaMismatch            columns changed more than the Dataset allows
    - TargetMissing             no such column
    - TargetUnusable            a column that nothing can be learned from
    - NotNumeric                text where numbers were declared
    - QualityFailed             an expectation does not hold
    - NotEnoughRows             too few rows to learn from or to measure on
    - NoNewRows                 a retraining to which served rows add nothing
  - the learning
    - UnknownEstimator          no such estimator
    - InvalidParameters         one the estimator refuses
    - TrainingFailed            the estimator itself gave up
  - the notification
    - AddressRefused            an address that may not be called
    - SecretMissing             no key or token where one is named
    - ReceiverUnreachable       no answer in time, or one that says to come again
    - ReceiverRefused           an answer that says no
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tidemill.api.reasons import Reason

if TYPE_CHECKING:
    from tidemill.contract.reports import Failure


class RunFailed(Exception):
    """A run failed; the message says what, where, and what to do."""

    reason: ClassVar[Reason] = Reason.FAILED
    cause_is_outside: ClassVar[bool] = False
    """Whether the same order may succeed later, since what is wrong is not in it."""

    def __init__(self, message: str, *, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = self.cause_is_outside if retryable is None else retryable

    def to_failure(self) -> Failure:
        """This failure as a run reports it."""
        from tidemill.contract.reports import Failure

        return Failure(reason=self.reason, message=self.message, retryable=self.retryable)


class StoreCredentialsMissing(RunFailed):
    """The namespace has no credentials for the store."""

    reason = Reason.STORE_CREDENTIALS_MISSING
    cause_is_outside = True


class StoreUnreachable(RunFailed):
    """The store did not answer in time, or refused."""

    reason = Reason.STORE_UNREACHABLE
    cause_is_outside = True


class ArtifactCorrupt(RunFailed):
    """Bytes that are not what their digest says; nothing of them was used."""

    reason = Reason.ARTIFACT_CORRUPT


class SourceNotFound(RunFailed):
    """There is nothing under the source's name."""

    reason = Reason.SOURCE_NOT_FOUND


class SourceUnreachable(RunFailed):
    """The source did not answer in time, or refused."""

    reason = Reason.SOURCE_UNREACHABLE
    cause_is_outside = True


class SourceEmpty(RunFailed):
    """The source has no rows."""

    reason = Reason.SOURCE_EMPTY


class SourceUnreadable(RunFailed):
    """The source is not a table in the format that was named or guessed."""

    reason = Reason.SOURCE_UNREADABLE


class TransformFailed(RunFailed):
    """The statement of the transform cannot be run."""

    reason = Reason.TRANSFORM_FAILED


class OutOfMemory(RunFailed):
    """The run needs more memory than it may take."""

    reason = Reason.OUT_OF_MEMORY


class SchemaMismatch(RunFailed):
    """The columns changed more than the Dataset allows, or lack one that it declares."""

    reason = Reason.SCHEMA_MISMATCH


class TargetMissing(RunFailed):
    """There is no column to predict."""

    reason = Reason.TARGET_MISSING


class TargetUnusable(RunFailed):
    """Nothing can be learned from the column to predict."""

    reason = Reason.TARGET_UNUSABLE


class NotNumeric(RunFailed):
    """Text where numbers were declared."""

    reason = Reason.NOT_NUMERIC


class QualityFailed(RunFailed):
    """The rows do not hold what is expected of them."""

    reason = Reason.QUALITY_FAILED


class NotEnoughRows(RunFailed):
    """Too few rows to learn from or to measure on."""

    reason = Reason.NOT_ENOUGH_ROWS


class NoNewRows(RunFailed):
    """Served rows add nothing to what the version in service was trained on."""

    reason = Reason.NO_NEW_ROWS


class UnknownEstimator(RunFailed):
    """No estimator of this name can be trained here."""

    reason = Reason.UNKNOWN_ESTIMATOR


class InvalidParameters(RunFailed):
    """The estimator refuses a parameter."""

    reason = Reason.INVALID_PARAMETERS


class TrainingFailed(RunFailed):
    """The estimator gave up."""

    reason = Reason.TRAINING_FAILED


class AddressRefused(RunFailed):
    """The webhook leads to an address that may not be called."""

    reason = Reason.ADDRESS_REFUSED


class SecretMissing(RunFailed):
    """The Secret that a webhook names is not there, or lacks what is needed."""

    reason = Reason.SECRET_MISSING
    cause_is_outside = True


class ReceiverUnreachable(RunFailed):
    """The receiver does not answer, or is too busy."""

    reason = Reason.RECEIVER_UNREACHABLE
    cause_is_outside = True


class ReceiverRefused(RunFailed):
    """The receiver says no, and would say it again."""

    reason = Reason.RECEIVER_REFUSED
