"""The truth room: what the panel says of nodules, and what the desk may know of it.

The web server writes what a member says and cannot read it again. What it is told comes from
functions of the database that have their own conditions: who has read, not what; and to a member
who may adjudicate, the reads of a nodule that do not agree.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction

from reader_study.actions.desk import ask
from reader_study.actions.locked import must_not_be_locked
from reader_study.domain.errors import TruthRefused
from reader_study.domain.truth import VERDICTS, Panel, Verdict, standing
from reader_study.models import DeskTask, DeskTaskKind, Membership, Nodule, Role, Study, User
from reader_study.models.reference import PanelDecision, PanelRead

NOTE_LIMIT = 1000
TEXT_LIMIT = 2_000_000


class ToRead(NamedTuple):
    """One nodule as a member of the panel sees it in their list."""

    nodule: Nodule
    read_at: datetime | None
    to_adjudicate: bool


class Said(NamedTuple):
    """What another member of the panel has said, as an adjudicator sees it."""

    member: str
    verdict: Verdict
    confidence: int
    note: str
    at: datetime


class PanelMember(NamedTuple):
    """How far a member of the panel is."""

    pseudonym: str
    read: int


class Source(NamedTuple):
    """Where the truth of a nodule comes from, without what it says."""

    case: str
    nodule: int
    source: str
    loaded_at: datetime


def panel_member(study: Study, user: User) -> Membership:
    """Return the membership of somebody on the panel of `study`.

    Raises:
        Membership.DoesNotExist: they are not.
    """
    return Membership.objects.get(study=study, user=user, role=Role.TRUTH_PANEL)


def panel_of(study: Study) -> Panel:
    """Return the rules of the study's panel.

    Raises:
        TruthRefused: its protocol has none.
    """
    panel = study.rules.truth.panel
    if panel is None:
        raise TruthRefused("The protocol of this study has no truth panel.")
    return panel


def to_read(member: Membership) -> list[ToRead]:
    """Return the nodules of the study, and what of them waits for `member`."""
    read_at = {nodule: at for nodule, who, at in _done(member.study) if who == member.pk}
    open_ones = _disagreements(member.study, member.user)
    nodules = Nodule.objects.of_study(member.study).select_related("series__case")
    return [
        ToRead(nodule, read_at.get(nodule.pk), nodule.pk in open_ones)
        for nodule in nodules.order_by("series__case__pseudonym", "number")
    ]


def panel_progress(study: Study) -> list[PanelMember]:
    """Return how many nodules each member of the panel has read."""
    read: dict[int, int] = {}
    for _, member, _ in _done(study):
        read[member] = read.get(member, 0) + 1
    members = study.members.filter(role=Role.TRUTH_PANEL).order_by("pseudonym")
    return [PanelMember(each.pseudonym, read.get(each.pk, 0)) for each in members]


def sources_of(study: Study) -> list[Source]:
    """Return where truths come from; nothing where the protocol keeps that from the desk."""
    with connection.cursor() as cursor:
        cursor.execute("select * from reread_reference_sources(%s)", [study.pk])
        rows = {nodule: (source, at) for nodule, source, at in cursor}
    nodules = Nodule.objects.filter(pk__in=rows).select_related("series__case")
    return [
        Source(nodule.series.case.pseudonym, nodule.number, *rows[nodule.pk])
        for nodule in nodules.order_by("series__case__pseudonym", "number")
    ]


def _done(study: Study) -> list[tuple[int, int, datetime]]:
    with connection.cursor() as cursor:
        cursor.execute("select nodule, member, at from reread_panel_done(%s)", [study.pk])
        return [(nodule, member, at) for nodule, member, at in cursor]


def _disagreements(study: Study, user: User) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute("select * from reread_panel_disagreements(%s, %s)", [study.pk, user.pk])
        return {nodule for (nodule,) in cursor}


def reads_to_adjudicate(member: Membership, nodule: Nodule) -> list[Said]:
    """Return what the panel has said of a nodule, where `member` may decide; else nothing.

    That is where as many have read it as the protocol wants, they do not agree by its rule, and
    nobody has decided.
    """
    panel = panel_of(member.study)
    with connection.cursor() as cursor:
        cursor.execute("select * from reread_panel_reads(%s, %s)", [nodule.pk, member.user_id])
        said = [Said(*row) for row in cursor]
    stands = standing(panel, [each.verdict for each in said], None)
    return said if stands.to_adjudicate else []


@transaction.atomic
def record_read(
    *,
    member: Membership,
    nodule: Nodule,
    verdict: str,
    confidence: int,
    note: str,
    now: datetime,
) -> None:
    """Record what a member of the panel says of a nodule, once and for all.

    Raises:
        TruthRefused: there is no panel, the read is not complete, or it was given before.
        StudyLocked: the database of the study is locked.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=member.study_id)
    must_not_be_locked(study)
    panel_of(study)
    note = _checked(verdict, note)
    if not 0 <= confidence <= 100:
        raise TruthRefused("Say how sure you are, from 0 to 100.")
    try:
        with transaction.atomic():
            PanelRead.objects.create(
                nodule=nodule,
                member=member,
                verdict=verdict,
                confidence=confidence,
                note=note,
                at=now,
            )
    except IntegrityError:
        raise TruthRefused("You have read this nodule before; it stays as you said then.") from None


@transaction.atomic
def record_decision(
    *, member: Membership, nodule: Nodule, verdict: str, note: str, now: datetime
) -> None:
    """Record what a nodule is on which the panel did not agree, and why.

    Raises:
        TruthRefused: it is none that `member` may decide on, or there is no reason.
        StudyLocked: the database of the study is locked.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=member.study_id)
    must_not_be_locked(study)
    note = _checked(verdict, note)
    if not note:
        raise TruthRefused("Say why the nodule is what you say.")
    if not reads_to_adjudicate(member, nodule):
        raise TruthRefused("There is nothing for you to decide about this nodule.")
    PanelDecision.objects.create(nodule=nodule, member=member, verdict=verdict, note=note, at=now)


def _checked(verdict: str, note: str) -> str:
    if verdict not in VERDICTS:
        raise TruthRefused("Say what the nodule is: malignant, benign, or undetermined.")
    note = note.strip()
    if len(note) > NOTE_LIMIT:
        raise TruthRefused(f"A note has at most {NOTE_LIMIT} characters.")
    return note


def request_truths(*, study: Study, text: str, by: User, now: datetime, dry_run: bool) -> DeskTask:
    """Ask the worker to load a list of truths, or to say what that would do.

    Raises:
        TruthRefused: the list is empty or too long.
        StudyLocked: the database of the study is locked.
        DeskTaskRefused: the same is being done.
    """
    must_not_be_locked(study)
    if not text.strip() or len(text) > TEXT_LIMIT:
        raise TruthRefused("The list is empty, or larger than 2 MB.")
    kind = DeskTaskKind.CHECK_TRUTH if dry_run else DeskTaskKind.IMPORT_TRUTH
    return ask(study, kind, {"text": text}, by, now)


def request_conclusion(*, study: Study, by: User, now: datetime) -> DeskTask:
    """Ask the worker to load what the panel has come to.

    Raises:
        TruthRefused: the protocol has no panel.
        StudyLocked: the database of the study is locked.
        DeskTaskRefused: it is being done.
    """
    must_not_be_locked(study)
    panel_of(study)
    return ask(study, DeskTaskKind.CONCLUDE_PANEL, {}, by, now)


def tasks_of(study: Study) -> Sequence[DeskTask]:
    """Return what was last asked for about the truth, the newest first."""
    about = (DeskTaskKind.CHECK_TRUTH, DeskTaskKind.IMPORT_TRUTH, DeskTaskKind.CONCLUDE_PANEL)
    return list(DeskTask.objects.filter(study=study, kind__in=about).select_related("by")[:5])
