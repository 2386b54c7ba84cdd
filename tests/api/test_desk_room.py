"""The desk's API of cases, nodules and the truth room: what the pages do, and no more."""

import json

import pytest
from django.test import Client
from django.utils import timezone

from reader_study.actions.cases import import_series
from reader_study.actions.desk import run_desk_task
from reader_study.actions.imports import clean_name, staging
from reader_study.actions.tokens import make_token
from reader_study.actions.verification import verify_study
from reader_study.dicomweb.ingest import look_at
from reader_study.dicomweb.nodules import NoduleList
from reader_study.models import (
    Access,
    Case,
    Deviation,
    ImportJob,
    ImportSeries,
    KeyAccess,
    Nodule,
    Role,
    Series,
)
from reader_study.models.reference import PanelRead, ReferenceStandard
from reader_study.models.rights import RIGHTS, RIGHTS_OF_THE_WORKER
from tests.api.test_desk import desk, say  # noqa: F401 (a fixture)
from tests.dicomweb.series import SERIES, STUDY, a_series
from tests.factories import NOW, PASSWORD, a_case, a_member, a_prediction, a_study, a_user
from tests.test_desk_tasks import SITE, WORKER, as_role

pytestmark = pytest.mark.django_db
PNG = b"\x89PNG"
PROBABILITY = 0.731234567


def with_token(user, *scopes):
    _, word = make_token(user=user, name="t", scopes=scopes, days=1, now=timezone.now())
    return Client(headers={"Authorization": f"Bearer {word}"})


@pytest.fixture
def study(desk, settings, tmp_path):  # noqa: F811
    """A study of the desk with one case of images, without nodules."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    settings.STAGING_DIR = tmp_path / "staging"
    study = a_study(is_open=False)
    a_member(study, role=Role.COORDINATOR, user=desk.user)
    a_series(tmp_path / "ct")
    found = look_at(tmp_path / "ct")
    nothing = NoduleList([], [], [])
    import_series(study=study, findings=found, listed=nothing, now=NOW, without_nodules=True)
    return study


def test_nodules_are_placed_moved_listed_and_taken_away_with_their_case(desk, study):  # noqa: F811
    at = f"studies/{study.slug}"
    (case,) = say(desk, "GET", f"{at}/cases")[1]["results"]
    (series,) = say(desk, "GET", f"{at}/cases/{case['id']}")[1]["series"]
    assert (series["slices"], len(series["spacing_mm"])) == (12, 3)

    place = {"series": series["id"], "centre_mm": [1.234, -2, 15], "diameter_mm": 6.04}
    status, placed = say(desk, "POST", f"{at}/nodules", place)
    assert (status, placed["number"], placed["ai"]) == (201, 1, "none")
    assert (placed["centre_mm"], placed["diameter_mm"]) == ([1.23, -2.0, 15.0], 6.0)
    outside = {**place, "centre_mm": [900, 0, 0]}
    assert say(desk, "POST", f"{at}/nodules", outside)[1]["code"] == "import_refused"
    assert say(desk, "POST", f"{at}/nodules", {**place, "centre_mm": ["nan", 0, 0]})[0] in {
        400,
        409,
    }
    one = f"{at}/nodules/{placed['id']}"
    status, moved = say(desk, "PUT", one, {"centre_mm": [2, 2, 12]})
    assert (status, moved["centre_mm"], moved["diameter_mm"]) == (200, [2.0, 2.0, 12.0], None)

    text = f"patient,study,series,nodule,x,y,z\nP-1,{STUDY},{SERIES},N9,1,1,9\nP-1,9,9.9,N1,0,0,0\n"
    tried = say(desk, "POST", f"{at}/nodules/list", {"text": text, "dry_run": True})[1]
    assert tried["added"] == {case["case"]: 1}
    assert {each["where"].split(",")[0] for each in tried["problems"]} == {"line 2", "line 3"}
    assert Nodule.objects.count() == 1
    assert say(desk, "POST", f"{at}/nodules/list", {"text": text})[1] == tried
    assert {each["number"] for each in say(desk, "GET", f"{at}/nodules")[1]["results"]} == {1, 2}

    base = series["dicomweb"]
    headers, image = desk.get(f"{base}/metadata"), desk.get(f"{base}/slices/2/frames/1")
    assert (headers.status_code, len(headers.json()), image.status_code) == (200, 12, 200)
    assert SERIES not in headers.content.decode()
    assert desk.get(f"{base}/slices/13/frames/1").status_code == 404
    picture = desk.get(f"/api/v1/{at}/cases/{case['id']}/picture")
    assert picture.content.startswith(PNG)
    assert Access.objects.filter(study=study, what="images", user=desk.user).exists()

    assert desk.delete(f"/api/v1/{one}").status_code == 204
    assert desk.delete(f"/api/v1/{one}").status_code == 404
    assert desk.delete(f"/api/v1/{at}/cases/{case['id']}").status_code == 204
    assert not Case.objects.filter(study=study).exists()
    changes = say(desk, "GET", f"{at}/case-changes")[1]["results"]
    assert [each["kind"] for each in changes] == [
        *("case_removed", "nodule_removed", "nodules_listed", "nodule_moved", "nodule_placed")
    ]
    assert verify_study(study).broken is None


def test_what_is_of_another_study_or_needs_another_scope_is_not_touched(desk, study):  # noqa: F811
    elsewhere = a_case(a_study()).series.get()
    at = f"studies/{study.slug}"
    inside = {"centre_mm": [0, 0, 0]}
    nodule = elsewhere.nodules.get()
    before = (nodule.x, nodule.y, nodule.z)

    theirs = say(desk, "POST", f"{at}/nodules", {"series": elsewhere.pk, **inside})
    assert (theirs[0], theirs[1]["code"]) == (409, "import_refused")
    assert say(desk, "PUT", f"{at}/nodules/{nodule.pk}", inside)[0] == 404
    assert desk.delete(f"/api/v1/{at}/nodules/{nodule.pk}").status_code == 404
    assert desk.delete(f"/api/v1/{at}/cases/{elsewhere.case_id}").status_code == 404
    nodule.refresh_from_db()
    assert (nodule.x, nodule.y, nodule.z) == before

    own = Series.objects.get(case__study=study)
    body = {"series": own.pk, "centre_mm": [0, 0, 15]}
    for scopes, status in ((("read", "manage", "truth"), 403), (("import",), 201)):
        program = with_token(desk.user, *scopes)
        assert say(program, "POST", f"{at}/nodules", body)[0] == status, scopes


def test_images_that_are_held_are_looked_at(desk, study, tmp_path):  # noqa: F811
    said = {"source": "upload", "origin": "x", "state": "running", "asked_at": NOW}
    job = ImportJob.objects.create(study=study, by=desk.user, **said)
    uids = {"study_uid": "1.2", "series_uid": "1.2.3"}
    held = ImportSeries.objects.create(job=job, files=1, state="held", **uids)
    folder = staging(job.pk) / "clean" / str(held.pk)
    folder.mkdir(parents=True)
    (folder / clean_name(0)).write_bytes(sorted((tmp_path / "ct").iterdir())[0].read_bytes())
    address = f"/api/v1/studies/{study.slug}/imports/{job.pk}/series/{held.pk}/pictures"

    picture = desk.get(f"{address}/0")

    assert (picture.status_code, picture.content[:4]) == (200, PNG)
    assert desk.get(f"{address}/1").status_code == 404
    assert with_token(desk.user, "read").get(f"{address}/0").status_code == 403
    folders = say(desk, "GET", f"studies/{study.slug}/imports/folders")[1]
    assert folders == {"folders": None}
    asked = say(desk, "POST", f"studies/{study.slug}/archive-search", {"patient": "P-1"})
    assert (asked[0], asked[1]["code"]) == (409, "import_refused")  # no archive is named


def test_deviations_are_reviewed_and_the_key_is_handed_out_for_a_reason(desk):  # noqa: F811
    study = a_study()
    a_member(study, role=Role.COORDINATOR, user=desk.user)
    at = f"studies/{study.slug}"
    one, other = (
        Deviation.objects.create(study=each, kind="browser_clock", detail={}, at=NOW)
        for each in (study, a_study())
    )
    body = {"deviations": [one.pk, other.pk], "note": "a clock that was wrong"}
    assert say(desk, "POST", f"{at}/deviations/reviews", body) == (200, {"reviewed": 1})
    assert say(desk, "POST", f"{at}/deviations/reviews", body) == (200, {"reviewed": 0})
    (shown,) = say(desk, "GET", f"{at}/deviations")[1]["results"]
    assert (shown["review"]["note"], shown["review"]["by"]) == (body["note"], "desk")

    asked = {"password": "wrong", "reason": "an unexpected finding"}
    assert say(desk, "POST", f"{at}/key", asked)[1]["code"] == "password_wrong"
    assert not KeyAccess.objects.exists()
    status, key = say(desk, "POST", f"{at}/key", {**asked, "password": PASSWORD})
    assert (status, key["rows"][0]["who"]) == (200, "(desk)")
    assert say(desk, "GET", f"{at}/key")[1]["results"][0]["reason"] == asked["reason"]


def test_two_persons_lock_where_the_protocol_asks_for_two(desk):  # noqa: F811
    study = a_study(conduct={"lock_by": "two"})
    a_member(study, role=Role.COORDINATOR, user=desk.user)
    other = a_member(study, Role.INVESTIGATOR, a_user(password=PASSWORD)).user
    second = Client()
    second.force_login(other)
    at = f"studies/{study.slug}"
    points = say(desk, "GET", f"{at}/open-points")[1]["results"]
    body = {
        "password": PASSWORD,
        "statement": "All is done.",
        "accepted": {each["kind"]: "accepted" for each in points},
    }

    assert say(desk, "POST", f"{at}/lock", body)[1]["code"] == "lock_refused"
    assert say(second, "POST", f"{at}/lock/proposals", body)[1]["code"] == "lock_refused"
    assert say(desk, "POST", f"{at}/lock/proposals", body)[0] == 201
    (proposed,) = say(second, "GET", f"{at}/lock/proposals")[1]["results"]
    assert (proposed["by"], proposed["statement"]) == ("desk", "All is done.")
    assert say(second, "POST", f"{at}/lock", body)[1]["locked_at"] is not None
    assert say(desk, "GET", f"{at}/computation")[1]["status"] == "waiting"


@pytest.fixture
def judged(desk):  # noqa: F811
    """A study with a panel of two, three nodules with predictions, and the desk's membership."""
    study = a_study(truth={"panel": {"reads": 2, "agreement": "all"}})
    a_member(study, role=Role.COORDINATOR, user=desk.user)
    for _ in range(3):
        a_prediction(a_case(study).series.get().nodules.get(), PROBABILITY)
    return study


def test_a_panel_reads_by_the_api_and_nobody_learns_more_than_on_the_pages(desk, judged):  # noqa: F811
    members = [a_member(judged, Role.TRUTH_PANEL) for _ in range(3)]
    one, two, three = (with_token(each.user, "truth") for each in members)
    at = f"studies/{judged.slug}"
    agreed, split, _ = (each["id"] for each in say(one, "GET", f"{at}/panel")[1]["results"])

    def read(who, nodule, verdict, step="read", **more):
        body = {"verdict": verdict, "confidence": 70, "note": "because", **more}
        return say(who, "POST", f"{at}/panel/{nodule}/{step}", body)

    with as_role(SITE, RIGHTS):
        assert read(one, agreed, "malignant")[0] == 200
        assert read(one, agreed, "benign")[1]["code"] == "truth_refused"  # once and for all
        assert read(two, agreed, "malignant")[0] == 200
        assert read(one, split, "malignant")[0] == 200
        assert say(three, "GET", f"{at}/panel/{split}")[1]["said"] == []  # only one has read it
        assert read(two, split, "benign")[0] == 200
        # Who has read it may not decide, nor see what the others said.
        assert say(two, "GET", f"{at}/panel/{split}")[1]["said"] == []
        assert read(two, split, "benign", "decision")[1]["code"] == "truth_refused"
        shown = say(three, "GET", f"{at}/panel/{split}")[1]
        assert [each["verdict"] for each in shown["said"]] == ["malignant", "benign"]
        assert str(PROBABILITY) not in json.dumps(shown)
        assert read(three, agreed, "benign", "decision")[1]["code"] == "truth_refused"
        assert read(three, split, "benign", "decision")[1]["said"] == []
        room = say(desk, "GET", f"{at}/truth")[1]
    assert Access.objects.filter(what="truth", user=members[2].user, token__isnull=False).exists()
    assert (room["nodules"], room["known"]) == (3, 0)
    assert sorted(each["read"] for each in room["panel"]) == [0, 2, 2]
    assert "benign" not in json.dumps(room["panel"])

    status, task = say(desk, "POST", f"{at}/truth/conclusion")
    assert (status, task["kind"]) == (202, "conclude_panel")
    with as_role(WORKER, RIGHTS_OF_THE_WORKER):
        run_desk_task(task_id=task["id"], now=NOW)
    (done,) = say(desk, "GET", f"{at}/tasks")[1]["results"]
    assert done["outcome"] == {"stored": 2, "kept": 0, "to_adjudicate": 0, "to_read": 1}
    assert say(desk, "GET", f"{at}/truth/sources")[1]["count"] == 0  # the protocol says counts

    for role in Role.values:
        user = a_member(a_study() if role == Role.TRUTH_PANEL else judged, Role(role)).user
        for caller in (Client(), *((with_token(user, "truth"),) if role != "reader" else ())):
            caller.force_login(user)
            for nodule in (agreed, split):
                assert say(caller, "GET", f"{at}/panel/{nodule}")[0] == 404, role
                assert read(caller, nodule, "benign")[0] == 404, role
    assert PanelRead.objects.count() == 4
    assert say(with_token(members[0].user, "read"), "GET", f"{at}/panel")[0] == 403


def test_a_list_of_truths_is_loaded_by_the_worker_and_never_shown(desk, judged):  # noqa: F811
    at = f"studies/{judged.slug}"
    case = Case.objects.filter(study=judged).first()
    text = f"case,nodule,truth,source\n{case.pseudonym},1,malignant,pathology 4711\n"
    assert (
        say(with_token(desk.user, "manage"), "POST", f"{at}/truth/list", {"text": text})[0] == 403
    )

    for dry_run, known in ((True, 0), (False, 1)):
        asked = {"text": text, "dry_run": dry_run}
        status, task = say(desk, "POST", f"{at}/truth/list", asked)
        assert status == 202
        run_desk_task(task_id=task["id"], now=NOW)
        assert ReferenceStandard.objects.count() == known
    room = say(desk, "GET", f"{at}/truth")[1]
    assert room["known"] == 1
    for address in ("truth", "truth/sources", "tasks", "nodules", "cases"):
        assert "4711" not in json.dumps(say(desk, "GET", f"{at}/{address}")[1]), address


def test_the_panels_form_is_told_and_holds_by_the_api_too(desk):  # noqa: F811
    why = {"name": "why", "label": "Why", "kind": "text"}
    form = {"confidence": None, "note": "required", "questions": [why]}
    study = a_study(truth={"panel": {"reads": 1, "form": form}})
    nodule = a_case(study).series.get().nodules.get()
    a_member(study, role=Role.COORDINATOR, user=desk.user)
    member = with_token(a_member(study, Role.TRUTH_PANEL).user, "truth")
    at = f"studies/{study.slug}"
    told = say(desk, "GET", f"{at}/truth")[1]["rules"]["form"]
    assert (told["confidence"], told["questions"][0]["name"]) == (None, "why")

    read = f"{at}/panel/{nodule.pk}/read"
    body = {"verdict": "benign", "note": "fat"}
    refused = say(member, "POST", read, body)[1]
    assert refused["code"] == "truth_refused"
    assert refused["problems"] == [{"place": "why", "detail": "Why: not answered yet"}]
    body["answers"] = {"why": {"value": "fat inside"}}
    assert say(member, "POST", read, {**body, "confidence": 9})[0] == 409
    assert say(member, "POST", read, {**body, "answers": {"why": "fat"}})[0] == 409
    assert say(member, "POST", read, body)[0] == 200
    assert PanelRead.objects.get().answers == body["answers"]
