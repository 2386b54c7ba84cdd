"""The truth room: what the panel says of nodules, and what the desk may know of it.

The web server writes what a member says and cannot read it again. What it is told comes from
functions of the database that have their own conditions: who has read, not what; and to a member
who may adjudicate, the reads of a nodule that do not agree.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction

from reader_study.actions.accesses import note_access
from reader_study.actions.desk import ask
from reader_study.actions.locked import must_not_be_locked
from reader_study.actions.pseudonyms import panel_pseudonym
from reader_study.domain.errors import TruthRefused
from reader_study.domain.panel_form import PanelForm, Verdict
from reader_study.domain.truth import Panel, standing
from reader_study.models import (
    Accessed,
    DeskTask,
    DeskTaskKind,
    Membership,
    Nodule,
    PersonalToken,
    Role,
    Study,
    User,
)
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
    confidence: int | None
    note: str
    answers: dict[str, Any]
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


class SeenSeries(NamedTuple):
    """The series of a nodule under the names that it has for one member of the panel."""

    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    slices: int
    dicomweb: str


def series_for(member: Membership, nodule: Nodule) -> SeenSeries:
    """Return the series of `nodule` as `member` of the panel may ask for its images."""
    series = nodule.series
    return SeenSeries(
        study_uid=panel_pseudonym(member, nodule, series.study_uid),
        series_uid=panel_pseudonym(member, nodule, series.series_uid),
        frame_of_reference_uid=panel_pseudonym(member, nodule, series.frame_of_reference_uid),
        slices=series.slices,
        dicomweb=f"/api/panel/{nodule.pk}/dicomweb",
    )


def one_to_read(member: Membership, nodule_id: int) -> ToRead:
    """Return a nodule of the study, and whether it waits for `member`.

    Raises:
        Nodule.DoesNotExist: the study has no such nodule.
    """
    found = next((each for each in to_read(member) if each.nodule.pk == nodule_id), None)
    if found is None:
        raise Nodule.DoesNotExist
    return found


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
        cursor.execute(
            "select member, verdict, confidence, note, answers::text, at "
            "from reread_panel_reads(%s, %s)",
            [nodule.pk, member.user_id],
        )
        said = [
            Said(member, verdict, confidence, note, json.loads(answers), at)
            for member, verdict, confidence, note, answers, at in cursor
        ]
    stands = standing(panel, [each.verdict for each in said], None)
    return said if stands.to_adjudicate else []


def see_reads(
    *, member: Membership, nodule: Nodule, now: datetime, token: PersonalToken | None = None
) -> list[Said]:
    """Return what `reads_to_adjudicate` does, once the access log has it."""
    if member.study.rules.truth.panel is None:
        return []
    said = reads_to_adjudicate(member, nodule)
    if said:
        note_access(
            Accessed.TRUTH,
            user=member.user,
            study=member.study,
            case=nodule.series.case,
            token=token,
            now=now,
        )
    return said


@transaction.atomic
def record_read(
    *,
    member: Membership,
    nodule: Nodule,
    verdict: str,
    confidence: int | None,
    note: str,
    answers: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    """Record what a member of the panel says of a nodule, once and for all.

    Raises:
        TruthRefused: there is no panel, the read is not what the protocol's form asks for, or it
            was given before.
        StudyLocked: the database of the study is locked.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=member.study_id)
    must_not_be_locked(study)
    form = panel_of(study).form
    note, given = _checked(form, verdict, note, answers or {})
    if form.note == "required" and not note:
        raise TruthRefused("A note is needed.")
    if form.note == "none" and note:
        raise TruthRefused("The form of this panel has no note.")
    if form.confidence is None and confidence is not None:
        raise TruthRefused("The form of this panel does not ask how sure you are.")
    if form.confidence is not None and not (confidence is not None and 0 <= confidence <= 100):
        raise TruthRefused("Say how sure you are, from 0 to 100.")
    try:
        with transaction.atomic():
            PanelRead.objects.create(
                nodule=nodule,
                member=member,
                verdict=verdict,
                confidence=confidence,
                note=note,
                answers=given,
                at=now,
            )
    except IntegrityError:
        raise TruthRefused("You have read this nodule before; it stays as you said then.") from None


@transaction.atomic
def record_decision(
    *,
    member: Membership,
    nodule: Nodule,
    verdict: str,
    note: str,
    answers: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    """Record what a nodule is on which the panel did not agree, and why.

    Raises:
        TruthRefused: it is none that `member` may decide on, there is no reason, or the answers
            are not what the protocol's form asks for.
        StudyLocked: the database of the study is locked.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=member.study_id)
    must_not_be_locked(study)
    note, given = _checked(panel_of(study).form, verdict, note, answers or {})
    if not note:
        raise TruthRefused("Say why the nodule is what you say.")
    if not reads_to_adjudicate(member, nodule):
        raise TruthRefused("There is nothing for you to decide about this nodule.")
    PanelDecision.objects.create(
        nodule=nodule, member=member, verdict=verdict, note=note, answers=given, at=now
    )


def _checked(
    form: PanelForm, verdict: str, note: str, answers: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the note and the answers as they are stored."""
    if verdict not in form.offered:
        raise TruthRefused(f"Say what the nodule is: {', '.join(form.offered)}.")
    note = note.replace("\0", "").strip()
    if len(note) > NOTE_LIMIT:
        raise TruthRefused(f"A note has at most {NOTE_LIMIT} characters.")
    given = form.asked(answers)
    problems = form.problems(given)
    if problems:
        labels = {each.name: each.label for each in form.questions}
        name = problems[0].question
        told = problems[0].detail.removeprefix(f"{labels.get(name)}: ")
        raise TruthRefused(
            f"{labels.get(name, name or 'The answers')}: {told}.",
            problems=[{"place": each.question, "detail": each.detail} for each in problems],
        )
    return note, given


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
