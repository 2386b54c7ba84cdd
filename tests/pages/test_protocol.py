"""The page of a protocol: its text, its mistakes at their lines, its plan, and its versions."""

import pytest
import yaml
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from reader_study.domain.reading import Stage
from reader_study.models import Role, Study
from tests.domain.designs import CROSSOVER
from tests.factories import a_member, a_protocol, a_reading, a_study

pytestmark = pytest.mark.django_db


def written(**changes):
    return yaml.safe_dump(a_protocol(**changes), sort_keys=False)


@pytest.fixture
def desk(client):
    """Ask for the page of a study as its coordinator: with a text to send it."""

    def ask(study, text=None, **more):
        client.force_login(study.members.filter(role=Role.COORDINATOR).get().user)
        address = reverse("study-protocol", args=[study.slug])
        answer = (
            client.get(address) if text is None else client.post(address, {"text": text, **more})
        )
        return answer.status_code, answer.content.decode()

    return ask


@pytest.fixture
def study():
    study = a_study(is_open=False)
    a_member(study, Role.COORDINATOR)
    return study


def test_it_shows_text_plan_and_versions(study, desk):
    status, page = desk(study)

    assert status == 200
    for part in (
        "questionnaire:",
        "20 cases, made up",
        "Calendar",
        "malignancy_auc",
        "study,protocol_",
    ):
        assert part in page


def test_a_check_tells_the_plan_and_changes_nothing(study, desk):
    status, page = desk(study, written(design=CROSSOVER), check="")

    assert status == 200
    assert "160 readings" in page
    assert "unaided → score: 40" in page
    assert study.versions.count() == 1


def test_mistakes_are_told_with_their_lines_and_the_text_stays(study, desk):
    text = written() + "\nopens_when: never\n"
    status, page = desk(study, text, save="")

    assert status == 409
    assert f"<strong>Line {text.count(chr(10))}</strong>" in page
    assert "opens_when: never" in page
    assert '[{"place": "opens_when", ' in page  # at its place in the form
    assert '"when_inference_failed": {' in page  # the schema, of which the form is made
    assert study.versions.count() == 1


def test_what_is_put_in_force_keeps_its_comments(study, desk):
    status, _ = desk(study, "# as agreed\n" + written(title="Another"), save="")

    assert status == 302
    study.refresh_from_db()
    assert study.title == "Another"
    assert "# as agreed" in desk(study)[1]


def test_after_the_first_reading_the_plan_stays_and_a_reason_is_needed(desk):
    study = a_study()
    a_member(study, Role.COORDINATOR)
    a_reading(stage=Stage.UNAIDED, study=study)

    assert "dealt out by it" in desk(study, written(allocation={"seed": 7}), save="", reason="x")[1]
    assert "A reason of at most" in desk(study, written(title="Another"), save="")[1]
    assert desk(study, written(title="Another"), save="", reason="a typing error")[0] == 302
    assert "a typing error" in desk(study)[1]


@pytest.mark.parametrize("role", [Role.READER, Role.INVESTIGATOR])
def test_only_coordinators_change_it(client, study, role):
    client.force_login(a_member(study, role).user)
    address = reverse("study-protocol", args=[study.slug])

    assert client.get(address).status_code == (200 if role == Role.INVESTIGATOR else 404)
    assert client.post(address, {"text": written(title="x"), "save": ""}).status_code == 404
    assert study.versions.count() == 1


def test_a_coordinator_creates_a_study_from_a_template_or_a_file_and_has_its_desk(client, study):
    user = study.members.get().user
    client.force_login(user)
    address = reverse("study-new")
    assert "lung_rads" in client.get(address).content.decode()

    client.post(address, {"name": "one", "template": "lidc"})
    file = SimpleUploadedFile("mine.yaml", ("# mine\n" + written(title="Mine")).encode())
    client.post(address, {"name": "two", "template": "lidc", "file": file})

    assert Study.objects.get(slug="one").rules.design.kind == "crossover"
    mine = Study.objects.get(slug="two")
    assert (mine.title, mine.versions.get().by) == ("Mine", user)
    assert mine.versions.get().source.startswith("# mine")
    assert mine.members.get().role == Role.COORDINATOR


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"name": "no name", "template": "lidc"}, "letters, digits"),
        ({"name": "one", "template": "none"}, "Choose a protocol"),
        ({"name": "one", "file": SimpleUploadedFile("x", b"titel: x")}, "Line 1"),
        ({"name": "one", "file": SimpleUploadedFile("x", b"\xff")}, "no text in UTF-8"),
    ],
)
def test_a_study_that_cannot_be_is_not_created(client, study, sent, says):
    client.force_login(study.members.get().user)
    answer = client.post(reverse("study-new"), sent)

    assert (answer.status_code, Study.objects.count()) == (409, 1)
    assert says in answer.content.decode()


def test_a_name_that_is_taken_is_refused(client, study):
    client.force_login(study.members.get().user)
    answer = client.post(reverse("study-new"), {"name": study.slug, "template": "lidc"})
    assert (answer.status_code, Study.objects.count()) == (409, 1)


@pytest.mark.parametrize("role", [Role.READER, Role.INVESTIGATOR])
def test_nobody_else_creates_studies(client, study, role):
    client.force_login(a_member(study, role).user)
    assert client.get(reverse("study-new")).status_code == 404
