"""Tables and their constraints.

The reference standard is left out on purpose: `models.reference` is imported by those who
load or use the truth, and by nothing that serves a reader. `apps.py` loads it for Django.
"""

from reader_study.models.access import Access, Accessed
from reader_study.models.account import Membership, Role, User
from reader_study.models.conduct import DatabaseLock, EarlyOpening, LockProposal, Skip, Unlock
from reader_study.models.desk import DeskTask, DeskTaskKind, DeskTaskStatus
from reader_study.models.deviation import Deviation, DeviationReview
from reader_study.models.display import DisplayCheck, ReaderPreferences
from reader_study.models.event import Event
from reader_study.models.imports import (
    CaseChange,
    ImportFile,
    ImportJob,
    ImportProblem,
    ImportSeries,
    ImportSource,
    ImportState,
    SeriesState,
)
from reader_study.models.monitoring import BackupMade, ReadingPace
from reader_study.models.people import KeyAccess, Waiver
from reader_study.models.prediction import Job, JobStatus, ModelVersion, Prediction
from reader_study.models.reading import Answer, Draft, Mark, Place, Rating, Reading
from reader_study.models.record import Chain, Record
from reader_study.models.results import ResultDocument, ResultsJob, ResultsStatus
from reader_study.models.signature import SessionSignature
from reader_study.models.study import Case, Nodule, ProtocolVersion, Series, Study
from reader_study.models.token import PersonalToken, Scope

__all__ = [
    "Access",
    "Accessed",
    "Answer",
    "BackupMade",
    "Case",
    "CaseChange",
    "Chain",
    "DatabaseLock",
    "DeskTask",
    "DeskTaskKind",
    "DeskTaskStatus",
    "Deviation",
    "DeviationReview",
    "DisplayCheck",
    "Draft",
    "EarlyOpening",
    "Event",
    "ImportFile",
    "ImportJob",
    "ImportProblem",
    "ImportSeries",
    "ImportSource",
    "ImportState",
    "Job",
    "JobStatus",
    "KeyAccess",
    "LockProposal",
    "Mark",
    "Membership",
    "ModelVersion",
    "Nodule",
    "PersonalToken",
    "Place",
    "Prediction",
    "ProtocolVersion",
    "Rating",
    "ReaderPreferences",
    "Reading",
    "ReadingPace",
    "Record",
    "ResultDocument",
    "ResultsJob",
    "ResultsStatus",
    "Role",
    "Scope",
    "Series",
    "SeriesState",
    "SessionSignature",
    "Skip",
    "Study",
    "Unlock",
    "User",
    "Waiver",
]
