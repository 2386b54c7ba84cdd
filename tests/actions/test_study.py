"""Setting a study up."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from reader_study.actions.readiness import checklist, missing
from reader_study.actions.study import (
    add_member,
    allocate_readings,
    create_study,
    open_study,
)
from reader_study.domain.errors import StudyFrozen, StudyNotOpen
from reader_study.models import Reading, Role
from tests.domain.designs import EVERY_DESIGN
from tests.factories import NOW, a_case, a_member, a_prediction, a_protocol, a_study, a_user

pytestmark = pytest.mark.django_db


def test_a_study_is_created_once_and_its_protocol_stays():
    first = create_study(slug="lungs", document=a_protocol(), now=NOW)

    assert create_study(slug="lungs", document=a_protocol(), now=NOW) == first
    with pytest.raises(StudyFrozen):
        create_study(slug="lungs", document=a_protocol(title="Another"), now=NOW)


def test_cases_are_dealt_out_once():
    study = a_study(is_open=False)
    for _ in range(3):
        a_case(study)
    a_member(study)
    a_member(study)

    assert allocate_readings(study=study, now=NOW) == 6
    before = list(Reading.objects.values_list("reader", "case", "position"))
    assert allocate_readings(study=study, now=NOW) == 6
    assert list(Reading.objects.values_list("reader", "case", "position")) == before


def test_an_empty_study_cannot_be_dealt_out():
    with pytest.raises(StudyNotOpen):
        allocate_readings(study=a_study(is_open=False), now=NOW)


def test_a_reader_cannot_join_after_the_cases_are_dealt_out():
    study = a_study()

    add_member(study=study, user=a_user(), role=Role.COORDINATOR, pseudonym="Desk")
    with pytest.raises(StudyFrozen):
        add_member(study=study, user=a_user(), role=Role.READER, pseudonym="R9")


def test_a_member_keeps_one_role():
    study, user = a_study(is_open=False), a_user()
    first = add_member(study=study, user=user, role=Role.READER, pseudonym="R1")

    assert add_member(study=study, user=user, role=Role.READER, pseudonym="R1") == first
    with pytest.raises(StudyFrozen):
        add_member(study=study, user=user, role=Role.COORDINATOR, pseudonym="C1")


def test_a_study_opens_when_nothing_is_missing_and_says_what_is():
    study = a_study(is_open=False)
    a_member(study)
    case = a_case(study)
    with pytest.raises(StudyNotOpen, match="Allocation: not dealt out yet; AI: 0 of 1"):
        open_study(study=study, now=NOW)

    allocate_readings(study=study, now=NOW)
    a_prediction(case.series.get().nodules.get())

    study.refresh_from_db()
    assert missing(checklist(study)) == []
    assert open_study(study=study, now=NOW).opened_at is not None


def test_editing_or_adding_a_case_row_changes_no_order():
    study = a_study(is_open=False)
    cases = [a_case(study) for _ in range(5)]
    a_member(study)
    allocate_readings(study=study, now=NOW)
    before = list(Reading.objects.values_list("case", "position"))

    cases[0].subject = "another"
    cases[0].save()
    a_case(study)

    assert allocate_readings(study=study, now=NOW) == 5
    assert list(Reading.objects.values_list("case", "position")) == before


def test_a_plan_takes_as_many_queries_for_many_cases_as_for_few():
    counts = []
    for cases in (3, 30):
        study = a_study(is_open=False, design=EVERY_DESIGN["split-plot"])
        for _ in range(cases):
            a_case(study)
        for _ in range(3):
            a_member(study)
        with CaptureQueriesContext(connection) as queries:
            allocate_readings(study=study, now=NOW)
        counts.append(len(queries))
    assert counts[0] == counts[1]
