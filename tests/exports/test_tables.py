"""What comes out."""

import csv
import io
import zipfile

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from reader_study.domain.reading import Stage
from reader_study.exports.events import EXPOSURES, TIMES
from reader_study.exports.tables import PREDICTIONS, READINGS, write_csv, write_tables
from reader_study.models import Nodule, Rating
from tests.factories import a_case, a_job, a_prediction, a_reading

pytestmark = pytest.mark.django_db


def tables(study):
    file = io.BytesIO()
    write_tables(study, file)
    archive = zipfile.ZipFile(file)
    return {
        name: list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline="")))
        for name in archive.namelist()
        if name.endswith(".csv")
    }


def test_a_submitted_reading_is_a_row_a_nodule_stage_and_question_with_the_ai_beside_it():
    reading = a_reading(stage=Stage.SUBMITTED, nodules=2)
    for nodule in Nodule.objects.all():
        prediction = a_prediction(nodule, 0.73)

    rows = tables(reading.reader.study)["readings.csv"]

    assert len(rows) == Rating.objects.count() == 2 * (2 * 9 + 1)
    malignancy = [row for row in rows if row["question"] == "malignancy"]
    assert [(r["stage"], r["nodule"], r["value"]) for r in malignancy] == [
        ("unaided", "1", "30"),
        ("unaided", "2", "30"),
        ("aided", "1", "70"),
        ("aided", "2", "70"),
    ]
    assert [row["shown"] for row in malignancy] == [
        "",
        "",
        *["score|semantic|saliency|similar"] * 2,
    ]
    assert {row["ai_probability"] for row in malignancy} == {"0.73"}
    assert malignancy[-1]["bundle_hash"] == prediction.bundle_hash
    margin = next(row for row in rows if row["question"] == "margin")
    assert (margin["value"], margin["ai_value"], margin["ai_probability"]) == (
        "smooth",
        "spiculated",
        "0.625",
    )
    assert malignancy[0]["locked_at"] == "2026-01-05T09:02:00.000Z"
    assert malignancy[0]["protocol_hash"] == reading.reader.study.protocol_hash


def test_the_reader_is_a_pseudonym_and_nothing_else():
    reading = a_reading(stage=Stage.SUBMITTED)
    user = reading.reader.user
    user.email, user.last_name = "someone@example.org", "Someone"
    user.save()
    file = io.BytesIO()

    write_tables(reading.reader.study, file)

    archive = zipfile.ZipFile(file)
    everything = b"".join(archive.read(name) for name in archive.namelist())
    assert reading.reader.pseudonym.encode() in everything
    for identity in (user.username, user.email, user.last_name, "1.2.3."):
        assert identity.encode() not in everything


def test_predictions_are_a_row_a_target_and_category():
    reading = a_reading()
    a_prediction(Nodule.objects.get(), 0.25)

    rows = tables(reading.reader.study)["predictions.csv"]

    assert [(r["target"], r["category"], r["probability"]) for r in rows] == [
        ("malignancy", "malignant", "0.25"),
        ("margin", "smooth", "0.125"),
        ("margin", "lobulated", "0.25"),
        ("margin", "spiculated", "0.625"),
    ]


def test_a_nodule_without_a_prediction_says_why():
    reading = a_reading()
    a_job(Nodule.objects.get(), detail="No images.")

    (row,) = tables(reading.reader.study)["predictions.csv"]
    assert (row["status"], row["problem"], row["probability"]) == ("waiting", "No images.", "")


def test_every_column_and_every_question_is_in_the_dictionary():
    reading = a_reading()

    dictionary = tables(reading.reader.study)["data_dictionary.csv"]

    named = {(row["table"], row["name"]) for row in dictionary}
    assert {("readings", c.name) for c in READINGS} <= named
    assert {("predictions", c.name) for c in PREDICTIONS} <= named
    assert {("times", c.name) for c in TIMES} <= named
    assert {("exposures", c.name) for c in EXPOSURES} <= named
    for question in reading.reader.study.rules.questionnaire.nodule:
        assert ("question on the nodule", question.name) in named


def test_the_command_writes_a_file_or_a_folder(tmp_path, capsys):
    study = a_reading(stage=Stage.SUBMITTED).reader.study

    call_command("export_readings", study.slug, tmp_path / "out.zip")
    call_command("export_readings", study.slug, tmp_path / "out")

    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        for name in archive.namelist():
            assert (tmp_path / "out" / name).read_bytes() == archive.read(name)
    assert "readings.csv: 20 rows" in capsys.readouterr().out


def test_the_command_names_the_studies_there_are():
    study = a_reading().reader.study
    with pytest.raises(CommandError, match=study.slug):
        call_command("export_readings", "other", "x.zip")


def test_the_export_takes_as_many_queries_for_many_readings_as_for_one():
    def queries(study):
        with CaptureQueriesContext(connection) as captured:
            write_tables(study, io.BytesIO())
        return len(captured)

    reading = a_reading(stage=Stage.SUBMITTED)
    once = queries(reading.reader.study)
    for _ in range(5):
        a_reading(stage=Stage.SUBMITTED, reader=reading.reader)
    a_case(reading.reader.study)

    assert queries(reading.reader.study) == once


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ('=HYPERLINK("http://x")', '"\'=HYPERLINK(""http://x"")"'),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("-2.5", "-2.5"),
        (-2.5, "-2.5"),
        ("a = b", "a = b"),
        ("", ""),
    ],
)
def test_what_somebody_wrote_is_no_formula_to_a_spreadsheet(given, written):
    file = io.BytesIO()
    file.close = lambda: None
    write_csv(file, ["a", "b"], iter([["1", given]]))
    assert file.getvalue().decode() == f"a,b\r\n1,{written}\r\n"
