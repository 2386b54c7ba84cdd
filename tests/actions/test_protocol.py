"""Versions of a protocol: replaced before the cases are dealt out, amended afterwards."""

import json
from io import BytesIO
from zipfile import ZipFile

import pytest
import yaml
from django.core.management import CommandError, call_command

from reader_study.actions.protocol import amend_protocol, history, phase_of
from reader_study.actions.reading import lock_unaided, open_reading
from reader_study.actions.verification import verify_study
from reader_study.domain.amendment import Phase
from reader_study.domain.errors import AmendmentRefused, AnswersIncomplete, ProtocolInvalid
from reader_study.domain.reading import Stage
from reader_study.exports.tables import write_tables
from reader_study.models import Answer, ProtocolVersion, Role
from tests.factories import NOW, a_member, a_protocol, a_reading, a_study, answers_of

pytestmark = pytest.mark.django_db

COMMENT = {"name": "urgency", "label": "Urgency", "kind": "text"}


def amended(study, reason="why", **changes):
    return amend_protocol(
        study=study, document=a_protocol(**changes), reason=reason, by=None, now=NOW
    )


def with_urgency():
    document = a_protocol()
    document["questionnaire"]["case"].append(COMMENT)
    return {key: document[key] for key in ("questionnaire", "analysis")}


def test_before_the_cases_are_dealt_out_any_protocol_may_take_the_place():
    study = a_study(is_open=False)

    amended(study, reason="", allocation={"seed": 7}, title="Another")

    study.refresh_from_db()
    assert (study.title, study.rules.allocation.seed) == ("Another", 7)
    assert [(v.version.number, v.version.phase) for v in history(study)] == [
        (1, Phase.DRAFT),
        (2, Phase.DRAFT),
    ]
    assert {str(change) for change in history(study)[1].changes} == {
        "title: 'Lung nodules with and without AI' → 'Another'",
        "allocation.seed: 20250429 → 7",
    }


def test_the_same_protocol_again_is_no_new_version():
    study = a_study()
    assert amended(study, reason="").number == 1
    assert ProtocolVersion.objects.count() == 1


def test_a_change_that_would_deal_anew_is_refused_and_nothing_is_kept():
    study = a_study()
    with pytest.raises(AmendmentRefused) as refusal:
        amended(study, title="Another", allocation={"seed": 7})

    assert [problem["place"] for problem in refusal.value.more["problems"]] == ["allocation.seed"]
    study.refresh_from_db()
    assert (study.rules.allocation.seed, study.versions.count()) == (20250429, 1)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_an_amendment_needs_a_reason(reason):
    with pytest.raises(AmendmentRefused, match="A reason"):
        amended(a_study(), reason=reason, title="Another")


def test_what_cannot_be_run_is_no_amendment():
    with pytest.raises(ProtocolInvalid):
        amended(a_study(), title="")


def test_a_reading_goes_on_under_the_version_it_began_under():
    study = a_study()
    begun, later = a_reading(stage=Stage.UNAIDED, study=study), a_reading(study=study)

    second = amended(study, **with_urgency())

    def lock(reading, answers):
        return lock_unaided(
            reader=reading.reader.user, reading_id=reading.pk, answers=answers, now=NOW
        )

    lock(begun, answers_of(begun))
    open_reading(reader=later.reader.user, reading_id=later.pk, now=NOW)
    with pytest.raises(AnswersIncomplete) as refusal:
        lock(later, answers_of(later))
    assert refusal.value.more["problems"][0]["question"] == "urgency"
    answers = answers_of(later)
    answers["case"]["urgency"] = {"value": "none"}
    lock(later, answers)

    hashes = dict(Answer.objects.values_list("reading", "protocol_hash"))
    assert hashes == {begun.pk: study.versions.get(number=1).hash, later.pk: second.hash}
    assert verify_study(study).broken is None


def test_its_form_is_that_of_its_version(client):
    study = a_study()
    begun, later = a_reading(stage=Stage.UNAIDED, study=study), a_reading(study=study)
    amended(study, **with_urgency())

    def asked(reading):
        client.force_login(reading.reader.user)
        shown = client.get(f"/api/readings/{reading.pk}").json()
        return [question["name"] for question in shown["questionnaire"]["case"]]

    assert asked(begun) == ["image_quality", "comment"]
    assert asked(later) == ["image_quality", "comment", "urgency"]


def test_a_plan_that_is_changed_after_the_first_reading_is_marked():
    study = a_study()
    early, late = a_protocol()["analysis"], a_protocol()["analysis"]
    early["primary"]["alpha"], late["primary"]["alpha"] = 0.04, 0.03

    amended(study, analysis=early)
    assert phase_of(study) is Phase.ALLOCATED
    a_reading(stage=Stage.UNAIDED, study=study)
    amended(study, analysis=late)
    amended(study, analysis=late, title="Another")

    late_ones = [each.version.number for each in history(study) if each.plan_changed_late]
    assert late_ones == [3]


def test_the_export_holds_every_version_and_asks_by_pseudonym():
    study = a_study()
    coordinator = a_member(study, Role.COORDINATOR)
    document = a_protocol(**with_urgency())
    amend_protocol(study=study, document=document, reason="why", by=coordinator.user, now=NOW)
    study.refresh_from_db()

    written = BytesIO()
    write_tables(study, written)

    with ZipFile(written) as archive:
        versions = json.loads(archive.read("protocol.json"))["versions"]
        dictionary = archive.read("data_dictionary.csv").decode()
    assert [(v["number"], v["by"], v["reason"]) for v in versions] == [
        (1, "", ""),
        (2, coordinator.pseudonym, "why"),
    ]
    assert dictionary.count("question on the case,urgency") == 1
    assert dictionary.count("question on the case,comment") == 1


def test_the_command_amends_and_tells_what_each_version_changed(tmp_path, capsys):
    study = a_study()
    file = tmp_path / "protocol.yaml"
    file.write_text(yaml.safe_dump(a_protocol(title="Another"), sort_keys=False))

    call_command("amend_protocol", study.slug, file, "--reason=a typing error")
    call_command("amend_protocol", study.slug, "--show")

    said = capsys.readouterr().out
    assert f"version 2, protocol {study.versions.get(number=2).hash}" in said
    assert "a typing error (study: allocated)" in said
    assert "title: 'Lung nodules with and without AI' → 'Another'" in said


def test_the_command_names_the_line_of_a_change_that_is_refused(tmp_path, capsys):
    study = a_study()
    file = tmp_path / "protocol.yaml"
    text = yaml.safe_dump(a_protocol(allocation={"seed": 7}), sort_keys=False)
    file.write_text(text)

    with pytest.raises(CommandError, match=r"1 mistake; .* cannot be taken by the study"):
        call_command("amend_protocol", study.slug, file, "--reason=why")

    line = next(n for n, line in enumerate(text.splitlines(), 1) if "seed: 7" in line)
    assert capsys.readouterr().err.startswith(f"{file}:{line}: allocation.seed: cannot change")
