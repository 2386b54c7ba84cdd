"""The check of the display before reading, and the settings of a reader."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from reader_study.actions.verification import verify_study
from reader_study.models import DatabaseLock, DisplayCheck, Reading
from tests.domain.test_images import GOOD
from tests.factories import a_reading, a_study, a_user

pytestmark = pytest.mark.django_db

ANSWERS = {
    **GOOD,
    **{name: "yes" if value else "no" for name, value in GOOD.items() if isinstance(value, bool)},
}


@pytest.fixture
def reading(client: Client) -> Reading:
    """A reading of a study that asks for a wide display, its reader logged in."""
    reading = a_reading(study=a_study(images={"display": {"min_width_px": 1920}}))
    client.force_login(reading.reader.user)
    return reading


def test_reading_begins_once_the_display_is_checked_and_the_check_stays(
    client: Client, reading: Reading
):
    page = f"/worklist/display/{reading.reader.study.slug}"
    opened = f"/api/readings/{reading.pk}/open"
    assert page in client.get("/worklist").content.decode()
    refused = client.post(opened)
    assert (refused.status_code, refused.json()["code"]) == (409, "display_not_checked")

    too_small = client.post(page, {**ANSWERS, "width_px": 1280})
    assert "1280 pixels wide; this study needs 1920" in too_small.content.decode()
    assert client.post(opened).status_code == 409
    assert client.post(page, {"steps_seen": 11}).status_code == 409

    assert client.post(page, ANSWERS).status_code == 302
    assert client.post(opened).status_code == 200
    assert page not in client.get("/worklist").content.decode()
    failed, passed = DisplayCheck.objects.order_by("pk")
    assert (failed.passed, passed.passed, passed.session) == (False, True, reading.session)
    with pytest.raises(DatabaseError), transaction.atomic():
        DisplayCheck.objects.update(passed=True)
    # Both are links of the study's chain, and a check that was changed all the same is found.
    study = reading.reader.study
    result = verify_study(study)
    assert (result.counts["display_check"], result.broken) == (2, None)
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")
        cursor.execute("alter table reader_study_displaycheck disable trigger user")
        cursor.execute("update reader_study_displaycheck set passed = true")
        cursor.execute("alter table reader_study_displaycheck enable trigger user")
    broken = verify_study(study).broken
    assert broken is not None
    assert (broken.kind, broken.row_id) == ("display_check", failed.pk)


def test_a_locked_study_takes_no_more_checks(client: Client, reading: Reading):
    study = reading.reader.study
    page = f"/worklist/display/{study.slug}"
    client.post(page, ANSWERS)
    DatabaseLock.objects.create(
        study=study, by=a_user(), at=timezone.now(), statement="It is done.", accepted=[]
    )

    answer = client.post(page, ANSWERS)

    assert answer.status_code == 409
    assert "nothing more is recorded" in answer.content.decode()
    assert DisplayCheck.objects.count() == 1


def test_settings_of_a_reader_come_back_with_every_reading(client: Client, reading: Reading):
    said = {"layout": "quad", "mouse": "scroll"}

    kept = client.put("/api/preferences", said, content_type="application/json")
    refused = client.put("/api/preferences", {"layout": "cinema"}, content_type="application/json")

    assert (kept.status_code, refused.status_code) == (200, 409)
    assert refused.json()["code"] == "preferences_invalid"
    assert client.get("/api/preferences").json() == said
    shown = client.get(f"/api/readings/{reading.pk}").json()
    assert shown["preferences"] == said
    assert shown["layouts"] == ["mpr", "axial", "quad"]
