"""Refusals a user is told about; `code` is stable, the text is for people."""

from typing import Any, ClassVar


class Refusal(Exception):
    """What was asked for is against the rules of the study."""

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.more = more


class StepNotAllowed(Refusal):
    """A reading cannot take this step from its present stage."""

    code = "step_not_allowed"


class AnswerLocked(Refusal):
    """Another answer of this stage is locked already."""

    code = "answer_locked"


class AnswersInvalid(Refusal):
    """Answers that do not fit the questionnaire; `problems` says where."""

    code = "answers_invalid"


class AnswersIncomplete(Refusal):
    """Required questions are open; `problems` says which."""

    code = "answers_incomplete"


class DraftConflict(Refusal):
    """The draft was saved elsewhere since; `version` is the one the server holds."""

    code = "draft_conflict"


class ImportRefused(Refusal):
    """Cases cannot be brought in as it was asked."""

    code = "import_refused"


class CaseStands(Refusal):
    """A case or nodule that can no longer be changed."""

    code = "case_stands"


class StudyNotOpen(Refusal):
    """Readings cannot begin yet."""

    code = "study_not_open"


class ReadingNotOpenYet(Refusal):
    """The session of a reading, or the washout of its case, has not come."""

    code = "not_open_yet"


class ReadingClosed(Refusal):
    """A submitted reading whose case comes back is not shown again."""

    code = "reading_closed"


class ReadingSkipped(Refusal):
    """The reader has skipped this reading; it has ended."""

    code = "reading_skipped"


class SkipRefused(Refusal):
    """A reading cannot be skipped."""

    code = "skip_refused"


class EarlyOpeningRefused(Refusal):
    """A reading cannot be let begin early."""

    code = "early_opening_refused"


class SignatureRefused(Refusal):
    """A session cannot be signed."""

    code = "signature_refused"


class UnlockRefused(Refusal):
    """A submitted reading cannot be reopened."""

    code = "unlock_refused"


class ProtocolInvalid(Refusal):
    """A protocol that cannot be run; `problems` says where and why."""

    code = "protocol_invalid"


class AmendmentRefused(Refusal):
    """A protocol that a study cannot change to any more; `problems` says where and why."""

    code = "amendment_refused"


class StudyFrozen(Refusal):
    """The study has been allocated; what was asked would change its plan."""

    code = "study_frozen"


class AllocationImpossible(Refusal):
    """The cases cannot be dealt out as the protocol says."""

    code = "allocation_impossible"


class StudyLocked(Refusal):
    """The study's database is locked; nothing more is recorded in it."""

    code = "study_locked"


class NotLockedYet(Refusal):
    """What was asked for is shown once the study's database is locked."""

    code = "not_locked_yet"


class LockRefused(Refusal):
    """The database cannot be locked as things are; `open` says what is open."""

    code = "lock_refused"


class PasswordWrong(Refusal):
    """The password that was asked again is another one."""

    code = "password_wrong"


class ResultsSealed(Refusal):
    """Results are computed and seen only after the lock of the database."""

    code = "results_sealed"


class ModelRefused(Refusal):
    """A model that cannot be registered: it does not score its own nodules as it did."""

    code = "model_refused"


class ScoresInvalid(Refusal):
    """A file of another system's scores that cannot be stored; nothing of it is."""

    code = "scores_invalid"


class TruthIsKnown(Refusal):
    """A member of a case's truth panel cannot read it."""

    code = "truth_is_known"


class WaiverRefused(Refusal):
    """What keeps the truth panel from reading cannot be waived."""

    code = "waiver_refused"


class KeyRefused(Refusal):
    """The key of pseudonyms is not given out."""

    code = "key_refused"


class MemberRefused(Refusal):
    """Somebody cannot be given a role as asked."""

    code = "member_refused"


class TokenRefused(Refusal):
    """A personal access token cannot be made as asked."""

    code = "token_refused"


class TooManyCalls(Refusal):
    """A personal access token was used more often than a minute allows."""

    code = "too_many_calls"


class DeskTaskRefused(Refusal):
    """What the desk asks the site's worker for is asked for already."""

    code = "desk_task_refused"


class TruthRefused(Refusal):
    """A read or an adjudication of the truth panel, or a list of truths, that cannot be taken."""

    code = "truth_refused"


class ReviewRefused(Refusal):
    """A deviation cannot be reviewed as asked."""

    code = "review_refused"


class TruthOutOfReach(Refusal):
    """What was asked for needs the reference standard, and the database refuses it here."""

    code = "truth_out_of_reach"
