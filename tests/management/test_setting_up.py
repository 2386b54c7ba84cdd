"""From a protocol file to dealt-out cases, by commands."""

import pytest
import yaml
from django.core.management import CommandError, call_command

from reader_study.actions.reference import load_reference
from reader_study.models import Job, Membership, Nodule, Reading, Study, User
from tests.domain.designs import EVERY_DESIGN
from tests.factories import NOW, a_case, a_protocol

pytestmark = pytest.mark.django_db


def a_file(tmp_path, **changes):
    file = tmp_path / "protocol.yaml"
    file.write_text(yaml.safe_dump(a_protocol(**changes)))
    return file


def test_a_study_is_set_up_by_four_commands(tmp_path, capsys):
    design = EVERY_DESIGN["training"]
    call_command("create_study", "lungs", a_file(tmp_path, design=design))
    study = Study.objects.get(slug="lungs")
    cases = [a_case(study).pseudonym for _ in range(8)]
    for reader in ("anna", "ben"):
        call_command("add_member", "lungs", reader, "reader", reader.upper())

    call_command("allocate", "lungs", "--training", *cases[:3])

    assert "26 readings are dealt out; 8 predictions" in capsys.readouterr().out
    assert Reading.objects.filter(session=0).count() == 2 * 3
    first = set(Reading.objects.filter(session=1).values_list("reader__pseudonym", "arm"))
    assert {arm for _, arm in first} == {"unaided", "score"}
    assert len(first) == 2
    assert Job.objects.count() == 8
    assert not User.objects.get(username="anna").has_usable_password()


def test_saying_it_again_changes_nothing(tmp_path):
    for _ in range(2):
        call_command("create_study", "lungs", a_file(tmp_path))
        call_command("add_member", "lungs", "anna", "reader", "R1")

    assert (Study.objects.count(), Membership.objects.count()) == (1, 1)


def test_restrictions_hold_in_the_rows_and_the_truth_is_in_none_of_them(tmp_path):
    limits = {"seed": 3, "restrictions": {"max_positives_in_a_row": 2}}
    call_command("create_study", "lungs", a_file(tmp_path, allocation=limits))
    study = Study.objects.get()
    for number in range(30):
        nodule = Nodule.objects.get(series__case=a_case(study))
        load_reference(nodule=nodule, malignant=number < 12, source="panel", now=NOW)
    positive = {case.pk for case in study.cases.order_by("pk")[:12]}
    call_command("add_member", "lungs", "anna", "reader", "R1")

    call_command("allocate", "lungs")

    order = list(Reading.objects.order_by("position").values_list("case", flat=True))
    in_a_row = [sum(case in positive for case in order[n : n + 3]) for n in range(28)]
    assert max(in_a_row) == 2


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["create_study", "a b", "none.yaml"], "cannot be a name"),
        (["create_study", "lungs", "none.yaml"], "cannot be opened"),
        (["add_member", "other", "anna", "reader", "R1"], "no study 'other'"),
        (["allocate", "other"], "no study 'other'"),
        (["allocate", "lungs"], "at least one reader"),
        (["allocate", "lungs", "--training", "C9"], "no case C9"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(tmp_path, command, says):
    call_command("create_study", "lungs", a_file(tmp_path))

    with pytest.raises(CommandError, match=says):
        call_command(*command)


def test_training_cases_are_as_many_as_the_protocol_says(tmp_path):
    call_command("create_study", "lungs", a_file(tmp_path, design=EVERY_DESIGN["training"]))
    study = Study.objects.get()
    case = a_case(study)
    a_case(study)
    call_command("add_member", "lungs", "anna", "reader", "R1")

    with pytest.raises(CommandError, match="has 3 training cases, and 1 are marked"):
        call_command("allocate", "lungs", "--training", case.pseudonym)
    case.refresh_from_db()
    assert not Reading.objects.exists()
