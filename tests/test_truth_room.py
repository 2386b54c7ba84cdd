"""The truth room, with the rights that each database role has: who can say, see and load what."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import ProgrammingError, transaction
from django.urls import reverse

from reader_study.actions.cases import site_archive
from reader_study.actions.conduct import lock_database, open_points
from reader_study.actions.desk import run_desk_task
from reader_study.actions.reference import load_reference
from reader_study.actions.verification import verify_study
from reader_study.domain.truth import Panel, standing
from reader_study.domain.truth_list import There, place_truths, read_truths
from reader_study.exports.archive import panel_rows
from reader_study.models import Access, DeskTask, Nodule, Record, Role
from reader_study.models.reference import PanelRead, ReferenceStandard
from reader_study.models.rights import RIGHTS, RIGHTS_OF_THE_WORKER
from tests.dicomweb.series import a_series
from tests.factories import NOW, a_case, a_member, a_prediction, a_study
from tests.test_desk_tasks import SITE, WORKER, as_role
from tests.test_rights import refused

pytestmark = pytest.mark.django_db

PANEL = {"panel": {"reads": 2, "agreement": "all"}}
MALIGNANT, BENIGN = "malignant", "benign"


@pytest.mark.parametrize(
    ("agreement", "said", "comes_to"),
    [
        ("all", ["malignant", "malignant", "malignant"], ("malignant", False)),
        ("all", ["malignant", "malignant", "benign"], (None, True)),
        ("majority", ["benign", "malignant", "benign"], ("benign", False)),
        ("majority", ["benign", "malignant", "undetermined"], (None, True)),
        ("all", ["malignant", "malignant"], (None, False)),  # one is still to read
        # Who reads it besides changes nothing: the first ones were asked.
        ("all", ["benign", "benign", "benign", "malignant"], ("benign", False)),
    ],
)
def test_what_a_panel_comes_to(agreement, said, comes_to):
    panel = Panel(reads=3, agreement=agreement)

    assert standing(panel, said, None) == comes_to
    assert standing(panel, said, "undetermined") == ("undetermined", False)


def test_lines_belong_to_the_nearest_nodule_within_reach():
    there = {"C1": [There(1, 1, (0, 0, 0), 4), There(2, 2, (20, 0, 0), 30)], "C2": []}
    rows, wrong = read_truths(
        "case;truth;source;nodule;x;y;z\n"
        "C1;malignant;pathology;;4,9;0;0\n"  # within 5 mm
        "C1;Benign;follow-up;;34;0;0\n"  # within the nodule's radius
        "C1;benign;follow-up;;0;9;0\n"
        "C2;benign;follow-up;1;;;\n"
        "C9;benign;follow-up;1;;;\n"
        "C1;cancer;pathology;1;;;\n"
        "C1;benign;;1;;;\n"
        "C1;benign;follow-up;;left;0;0\n"
    )
    found, more = place_truths(rows, there, acceptance_mm=5)

    assert {pk: row.truth for pk, row in found.items()} == {1: "malignant", 2: "benign"}
    assert [(line, detail.split(",")[0]) for line, detail in sorted(wrong + more)] == [
        (4, "no nodule of C1 is within reach of this point"),
        (5, "C2 has no nodule 1"),
        (6, "the study has no case 'C9'"),
        (7, "the truth is one of malignant"),
        (8, "the source is missing"),
        (9, "a nodule is named by its number"),
    ]
    assert read_truths("case,truth,source\n")[1][0].detail.startswith("the column nodule")


@pytest.fixture
def study():
    study = a_study(truth=PANEL)
    for _ in range(3):
        a_prediction(a_case(study).series.get().nodules.get(), 0.731234567)
    return study


@pytest.fixture
def panel(study):
    return [a_member(study, Role.TRUTH_PANEL) for _ in range(3)]


def say(client, member, nodule, verdict, **more):
    """Read a nodule as a member of the panel, on the page; return what it says then."""
    client.force_login(member.user)
    address = reverse("study-truth-read", args=[member.study.slug, nodule.pk])
    asked = {"verdict": verdict, "confidence": 80, "note": f"note of {member.pseudonym}", **more}
    return client.post(address, asked)


def work(study, name, client, coordinator, **files):
    """Let the desk ask on its page, and the worker do it; return what became of it."""
    client.force_login(coordinator.user)
    address = reverse(f"study-truth-{name}", args=[study.slug])
    with as_role(SITE, RIGHTS):
        assert client.post(address, files).status_code == 302
    task = DeskTask.objects.latest("pk")
    with as_role(WORKER, RIGHTS_OF_THE_WORKER):
        run_desk_task(task_id=task.pk, now=NOW)
    return DeskTask.objects.get(pk=task.pk)


def test_a_panel_reads_apart_a_third_decides_and_the_worker_stores_it(client, study, panel):
    one, two, three = panel
    agreed, split, unread = Nodule.objects.order_by("pk")
    desk = a_member(study, Role.COORDINATOR)
    with as_role(SITE, RIGHTS):
        say(client, one, agreed, MALIGNANT)
        say(client, one, split, MALIGNANT)
        say(client, one, unread, BENIGN)
        again = say(client, one, agreed, BENIGN)
        assert again.status_code == 409
        client.force_login(three.user)
        own = reverse("study-truth-read", args=[study.slug, split.pk])
        assert "does not agree" not in client.get(own).content.decode()  # only one has read it
        say(client, two, agreed, MALIGNANT)
        say(client, two, split, BENIGN)
        assert refused("select verdict from reader_study_panelread")
        assert refused("select note from reader_study_paneldecision")
        client.force_login(two.user)  # who has read it may not decide, nor see what others said
        page = client.get(own).content.decode()
        assert "does not agree" not in page
        assert one.pseudonym not in page
        assert "You have read it" in page
        client.force_login(three.user)
        page = client.get(own).content.decode()
        assert f"note of {one.pseudonym}" in page
        assert "0.73" not in page
        assert say(client, three, split, BENIGN, decide="", note="").status_code == 409
        assert say(client, three, agreed, BENIGN, decide="").status_code == 409
        assert say(client, three, split, BENIGN, decide="", note="fat inside").status_code == 302
    assert Access.objects.filter(what="truth", user=three.user).exists()

    task = work(study, "conclude", client, desk)

    assert task.outcome == {"stored": 2, "kept": 0, "to_adjudicate": 0, "to_read": 1}
    found = {each.nodule_id: each for each in ReferenceStandard.objects.all()}
    assert {pk: each.malignant for pk, each in found.items()} == {agreed.pk: True, split.pk: False}
    said = found[split.pk].detail
    assert said["adjudicated"]["note"] == "fat inside"
    assert [each["verdict"] for each in said["reads"]] == [MALIGNANT, BENIGN]
    result = verify_study(study)
    assert (result.broken, result.counts["panel_read"]) == (None, 5)
    assert result.counts["panel_decision"] == 1


FORM = {
    "labels": {"undetermined": None},
    "confidence": None,
    "note": "none",
    "questions": [
        {
            "name": "why",
            "label": "What decided it",
            "kind": "single_choice",
            "cannot_assess": True,
            "options": [{"value": "fat", "label": "Fat"}, {"value": "edge", "label": "Its edge"}],
        },
        {
            "name": "sharp",
            "label": "How sharp",
            "kind": "scale",
            "scale": {"min": 1, "max": 5},
            "when": {"question": "why", "is": "edge"},
        },
    ],
}


def test_what_a_panel_is_asked_is_recorded_shown_to_who_decides_stored_and_exported(client):
    study = a_study(truth={"panel": {"reads": 2, "form": FORM}})
    nodule = a_case(study).series.get().nodules.get()
    one, two, three = (a_member(study, Role.TRUTH_PANEL) for _ in range(3))
    desk = a_member(study, Role.COORDINATOR)
    plain = {"confidence": "", "note": ""}
    with as_role(SITE, RIGHTS):
        for sent, says in (
            ({}, "What decided it: not answered yet."),
            ({"q-why": "edge"}, "How sharp: not answered yet."),
            ({"q-why": "edge", "q-sharp": "nine"}, "How sharp: a number is needed."),
            ({"q-why": "edge", "q-sharp": "9"}, "How sharp: between 1 and 5."),
            ({"q-why": "luck"}, "What decided it: not one of the options."),
            ({"q-why": "fat", "note": "x"}, "The form of this panel has no note."),
        ):
            refusal = say(client, one, nodule, BENIGN, **{**plain, **sent})
            assert (refusal.status_code, says in refusal.content.decode()) == (409, True), sent
        assert say(client, one, nodule, "undetermined", **plain).status_code == 409
        given = {**plain, "q-why": "edge", "q-sharp": "4"}
        assert say(client, one, nodule, MALIGNANT, **given).status_code == 302
        left = {**plain, "q-why-cannot": "on", "q-sharp": "4"}  # what is not asked is dropped
        assert say(client, two, nodule, BENIGN, **left).status_code == 302
        client.force_login(three.user)
        address = reverse("study-truth-read", args=[study.slug, nodule.pk])
        page = client.get(address).content.decode()
        assert "What decided it: Its edge<br>How sharp: 4" in page
        assert "What decided it: cannot be assessed" in page
        decided = {"q-why": "fat", "decide": "", "note": "fat inside"}
        assert say(client, three, nodule, BENIGN, **{**plain, **decided}).status_code == 302
        with pytest.raises(ProgrammingError), transaction.atomic():
            list(panel_rows(study))  # sealed until the lock

    work(study, "conclude", client, desk)

    stored = ReferenceStandard.objects.get(nodule=nodule)
    assert stored.malignant is False
    assert [each["answers"] for each in stored.detail["reads"]] == [
        {"why": {"value": "edge"}, "sharp": {"value": 4}},
        {"why": {"cannot_assess": True}},
    ]
    assert stored.detail["adjudicated"]["answers"] == {"why": {"value": "fat"}}
    assert verify_study(study).broken is None
    versions = Record.objects.filter(study=study, kind__startswith="panel").values_list("version")
    assert set(versions) == {(2,)}
    accepted = {point.kind: "accepted" for point in open_points(study)}
    lock_database(study=study, by=desk.user, statement="Done.", accepted=accepted, now=NOW)
    with as_role(SITE, RIGHTS):
        rows = [row[3:7] for row in panel_rows(study)]
    assert sorted(rows[:5]) == sorted(
        [
            [one.pseudonym, "read", "verdict", '"malignant"'],
            [one.pseudonym, "read", "why", '"edge"'],
            [one.pseudonym, "read", "sharp", "4"],
            [two.pseudonym, "read", "verdict", '"benign"'],
            [two.pseudonym, "read", "why", "null"],
        ]
    )
    assert rows[5:] == [
        [three.pseudonym, "decision", "verdict", '"benign"'],
        [three.pseudonym, "decision", "note", '"fat inside"'],
        [three.pseudonym, "decision", "why", '"fat"'],
    ]


def a_list(text):
    return SimpleUploadedFile("truths.csv", text.encode())


def test_a_list_is_checked_and_loaded_and_tells_nothing_of_what_is_there(client, study, panel):
    desk = a_member(study, Role.COORDINATOR)
    known, other, _ = Nodule.objects.select_related("series__case").order_by("pk")
    load_reference(nodule=known, malignant=True, source="pathology 4711", now=NOW)
    lines = "case,nodule,truth,source\n{},1,{},follow-up\n{},1,benign,follow-up\nX,1,benign,y\n"

    outcomes = []
    for truth in (MALIGNANT, BENIGN):  # a guess that is right looks like one that is wrong
        text = lines.format(known.series.case, truth, other.series.case)
        outcomes.append(work(study, "bring", client, desk, file=a_list(text), check="").outcome)
    assert outcomes[0] == outcomes[1]
    assert (outcomes[0]["new"], outcomes[0]["kept"], outcomes[0]["wrong"]) == (1, 1, 1)
    assert ReferenceStandard.objects.count() == 1

    task = work(study, "bring", client, desk, file=a_list(text))
    assert task.outcome["new"] == 1
    assert DeskTask.objects.defer(None).get(pk=task.pk).payload == {}
    assert ReferenceStandard.objects.get(nodule=known).malignant is True
    stored = ReferenceStandard.objects.get(nodule=other)
    assert (stored.malignant, stored.source) == (False, "follow-up")
    page = client.get(reverse("study-truth", args=[study.slug])).content.decode()
    assert "2 of 3 nodules have a reference standard" in page
    for hidden in ("4711", "follow-up</td>", str(panel[0].user)):
        assert hidden not in page
    assert "line 4: the study has no case" in page


def test_the_desk_sees_sources_only_where_the_protocol_says_so(client):
    study = a_study(truth={"desk_sees": "sources"})
    nodule = a_case(study).series.get().nodules.get()
    load_reference(nodule=nodule, malignant=True, source="pathology 4711", now=NOW)
    client.force_login(a_member(study, Role.COORDINATOR).user)
    with as_role(SITE, RIGHTS):
        page = client.get(reverse("study-truth", args=[study.slug])).content.decode()
    assert "pathology 4711" in page
    assert "malignant" not in page.split("Sources")[1]


def test_a_member_sees_the_images_of_the_nodule_and_nobody_else_does(
    client, study, panel, settings, tmp_path
):
    settings.ARCHIVE_DIR = tmp_path / "archive"
    nodule = Nodule.objects.select_related("series").first()
    series = nodule.series
    uids = {"study": series.study_uid, "series": series.series_uid}
    files = a_series(tmp_path / "ct", slices=3, **uids)
    site_archive().store(series.study_uid, series.series_uid, files)
    client.force_login(panel[0].user)
    page = client.get(reverse("study-truth-read", args=[study.slug, nodule.pk])).content.decode()
    given = json.loads(page.split('id="panel-images" type="application/json">')[1].split("<")[0])
    found = given["series"]
    base = f"{found['dicomweb']}/studies/{found['study_uid']}/series/{found['series_uid']}"

    headers = client.get(f"{base}/metadata")
    image = client.get(f"{base}/slices/2/frames/1")
    assert (headers.status_code, len(headers.json()), image.status_code) == (200, 3, 200)
    assert client.get(f"{base}/slices/4/frames/1").status_code == 404
    for hidden in (series.series_uid, "Doe"):
        assert hidden not in headers.content.decode() + page
    stranger = a_member(a_study(), Role.TRUTH_PANEL)
    others = [panel[1], stranger, *(a_member(study, role) for role in (Role.READER, *DESK))]
    for each in others:
        client.force_login(each.user)
        assert client.get(f"{base}/metadata").status_code == 404, each.role
        assert client.get(f"{base}/slices/2/frames/1").status_code == 404


DESK = (Role.COORDINATOR, Role.INVESTIGATOR)


@pytest.mark.parametrize("role", [Role.READER, Role.INVESTIGATOR, Role.TRUTH_PANEL])
def test_who_may_come_in(client, study, role):
    nodule = Nodule.objects.first()
    client.force_login(a_member(study, role).user)
    gets = {"study-truth": [study.slug], "study-truth-read": [study.slug, nodule.pk]}
    allowed = {
        Role.READER: [404, 404],
        Role.INVESTIGATOR: [200, 404],
        Role.TRUTH_PANEL: [200, 200],
    }
    assert [client.get(reverse(name, args=args)).status_code for name, args in gets.items()] == (
        allowed[role]
    )
    for name in ("study-truth-bring", "study-truth-conclude"):
        assert client.post(reverse(name, args=[study.slug])).status_code == 404
    read = reverse("study-truth-read", args=[study.slug, nodule.pk])
    if role != Role.TRUTH_PANEL:
        assert client.post(read, {"verdict": BENIGN, "confidence": 1}).status_code == 404
    assert not DeskTask.objects.exists()
    assert not PanelRead.objects.exists()
