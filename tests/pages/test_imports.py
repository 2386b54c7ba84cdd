"""The pages of imports and cases: whom they let in, and what they refuse."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from reader_study.actions.case_changes import place_nodule
from reader_study.actions.cases import site_archive
from reader_study.actions.imports import begin_import
from reader_study.actions.pseudonyms import pseudonym_at_desk
from reader_study.dicomweb.profile import Profile
from reader_study.models import Access, ImportJob, ImportSource, ImportState, Nodule, Role
from tests.dicomweb.series import a_series
from tests.factories import NOW, a_case, a_member, a_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(settings, tmp_path):
    settings.STAGING_DIR = tmp_path / "incoming"
    return a_study(is_open=False)


def an_upload(study) -> ImportJob:
    by = a_member(study, Role.COORDINATOR).user
    given = {"study": study, "source": ImportSource.UPLOAD, "by": by, "now": NOW}
    return begin_import(**given, profile=Profile())


def addresses(study, job, case) -> list[str]:
    of_job, of_case = [study.slug, job.pk], [study.slug, case.pk]
    return [
        *(reverse(name, args=[study.slug]) for name in ("study-imports", "study-cases")),
        *(reverse(name, args=[study.slug]) for name in ("study-nodules", "study-import-begin")),
        *(reverse(f"study-import{name}", args=of_job) for name in ("", "-now", "-files", "-step")),
        *(reverse(name, args=of_case) for name in ("study-place", "study-place-nodules")),
        *(reverse(name, args=of_case) for name in ("study-case-picture", "study-case-remove")),
    ]


@pytest.mark.parametrize("role", [Role.READER, Role.INVESTIGATOR, Role.TRUTH_PANEL, None])
def test_only_the_studys_coordinator_finds_these_pages(client, study, role):
    job, case = an_upload(study), a_case(study)
    user = a_member(study, role).user if role else a_member(a_study(), Role.COORDINATOR).user
    client.force_login(user)
    for address in addresses(study, job, case):
        assert client.get(address).status_code in {404, 405}, address
        assert client.post(address).status_code in {404, 405}, address
    assert study.cases.count() == 1


def test_a_part_is_taken_in_where_the_file_ends_and_nowhere_else(client, study):
    job = an_upload(study)
    client.force_login(job.by)
    named = reverse("study-import-files", args=[study.slug, job.pk])
    listed = client.post(named, json.dumps([["a/b.dcm", 10]]), content_type="application/json")
    (file,) = listed.json()["files"]
    part = reverse("study-import-part", args=[study.slug, job.pk, file["id"]])

    def post(content: bytes, offset: object) -> tuple[int, object]:
        sent = client.post(
            f"{part}?offset={offset}", content, content_type="application/octet-stream"
        )
        return sent.status_code, sent.json().get("received")

    assert post(b"12345", 0) == (200, 5)
    assert post(b"12345", 0) == (200, 5)  # its answer was lost
    assert post(b"123456", 5) == (200, 5)  # more than the file has
    assert post(b"x" * 3_000_000, 5) == (413, None)
    assert post(b"12345", "-1") == (400, None)
    assert post(b"67890", 5) == (200, 10)
    for said in ("", "{}", "[1]", '[["a", "x"]]', "[[]]"):
        assert client.post(named, said, content_type="application/json").status_code in {200, 400}
    other = an_upload(a_study(is_open=False))
    away = reverse("study-import-part", args=[other.study.slug, other.pk, file["id"]])
    assert client.post(f"{away}?offset=0", b"", content_type="text/plain").status_code == 404
    step = reverse("study-import-step", args=[study.slug, job.pk])
    client.post(step, {"step": "cancel"})
    job.refresh_from_db()
    assert job.state == ImportState.CANCELLED
    assert post(b"", 10)[0] == 409


def test_the_list_of_cases_asks_the_database_as_often_for_many_as_for_one(
    client, study, django_assert_num_queries
):
    client.force_login(a_member(study, Role.COORDINATOR).user)
    address = reverse("study-cases", args=[study.slug])
    a_case(study, nodules=2)
    client.get(address)
    with CaptureQueriesContext(connection) as one:
        client.get(address)
    for _ in range(12):
        a_case(study, nodules=3)
    with django_assert_num_queries(len(one)):
        assert client.get(address).status_code == 200


def test_nodules_are_changed_through_the_page_of_their_case_only(client, study):
    mine, other = a_case(study, nodules=0), a_case(study, nodules=0)
    by = a_member(study, Role.COORDINATOR).user
    client.force_login(by)
    series = other.series.get()
    given = {"study": study, "by": by, "now": NOW, "diameter_mm": None}
    nodule = place_nodule(series_id=series.pk, point_mm=[1, 2, 3], **given)
    address = reverse("study-place-nodules", args=[study.slug, mine.pk])

    def post(**said: object) -> int:
        status: int = client.post(address, said, content_type="application/json").status_code
        return status

    assert post(nodule=nodule.pk, remove=True) == 404
    assert post(series=series.pk, point_mm=[0, 0, 0]) == 409
    assert post(series=mine.series.get().pk, point_mm=[0, 0, 0]) == 200
    assert post(series="x" * 50) == 400
    assert post(series=mine.series.get().pk, point_mm=[1e30, 0, 0]) == 409
    assert client.post(address, "[]", content_type="application/json").status_code == 400
    assert Nodule.objects.count() == 2


def test_the_images_of_a_case_are_its_coordinators_under_other_uids(
    client, study, settings, tmp_path
):
    settings.ARCHIVE_DIR = tmp_path / "archive"
    case = a_case(study)
    series = case.series.get()
    uids = {"study": series.study_uid, "series": series.series_uid}
    files = a_series(tmp_path / "ct", slices=4, **uids)
    site_archive().store(series.study_uid, series.series_uid, files)
    shown = [pseudonym_at_desk(case, uid) for uid in (series.study_uid, series.series_uid)]
    headers = reverse("desk-metadata", args=[study.slug, case.pk, *shown])
    frame = reverse("desk-frame", args=[study.slug, case.pk, *shown, 2])
    picture = reverse("study-case-picture", args=[study.slug, case.pk])

    client.force_login(a_member(study, Role.READER).user)
    assert {client.get(one).status_code for one in (headers, frame, picture)} == {404}
    client.force_login(a_member(study, Role.COORDINATOR).user)
    listed = client.get(headers)
    assert len(listed.json()) == 4
    assert series.series_uid.encode() not in listed.content
    assert b"Doe" not in listed.content
    sent = client.get(frame)
    stored = site_archive().frame(series.study_uid, series.series_uid, f"{series.series_uid}.2")
    assert sent.content == stored.data
    assert client.get(picture).content.startswith(b"\x89PNG")
    assert client.get(frame.replace("/2/", "/5/")).status_code == 404
    assert Access.objects.get(what="images").series_uid == series.series_uid
