"""`manage.py compile_protocol`."""

import json

import pytest
import yaml
from django.core.management import CommandError, call_command

from reader_study.domain.protocol import protocol_schema
from tests.domain.designs import CROSSOVER, EVERY_DESIGN
from tests.domain.test_protocol_file import TEN_MISTAKES, TOLD
from tests.factories import a_protocol

NODULES = """\
patient,study,series,nodule,x,y,z,reference
P1,1.2.1,1.2.1.1,a,0,0,0,malignant
P1,1.2.1,1.2.1.1,b,9,0,0,benign
P1,1.2.2,1.2.2.1,a,0,0,0,benign
P2,1.2.3,1.2.3.1,a,0,0,0,
P3,1.2.4,1.2.4.1,a,0,0,0,benign
"""


def a_file(tmp_path, **changes):
    file = tmp_path / "protocol.yaml"
    file.write_text(yaml.safe_dump(a_protocol(**changes)))
    return file


@pytest.mark.parametrize("name", EVERY_DESIGN)
def test_every_design_compiles_to_a_plan(tmp_path, capsys, name):
    call_command("compile_protocol", a_file(tmp_path, design=EVERY_DESIGN[name]))

    said = capsys.readouterr().out
    for part in ("Conditions", "Schedule:", "Balance:", "Export, readings.csv"):
        assert part in said


def test_the_plan_says_who_reads_what_and_when(tmp_path, capsys):
    file = a_file(tmp_path, design=CROSSOVER)

    call_command("compile_protocol", file, "--readers=2", "--cases=40", "--start=2026-01-05")

    said = capsys.readouterr().out
    assert "2 readers, 40 cases: 160 readings" in said
    lines = [line.split() for line in said.splitlines()]
    first = [line for line in lines if line[1:3] == ["1", "40"]]
    assert {tuple(line[4:]) for line in first} == {("40", "2026-01-05", "2026-01-06")}
    assert {line[3] for line in first} == {"unaided", "score"}


def test_ten_mistakes_are_told_like_those_of_a_compiler(tmp_path, capsys):
    file = tmp_path / "ten.yaml"
    file.write_text(TEN_MISTAKES)

    with pytest.raises(CommandError, match="11 mistakes"):
        call_command("compile_protocol", file)

    said = capsys.readouterr().err.splitlines()
    assert said == [f"{file}:{line}: {place}: {detail}" for line, place, detail in TOLD]


def test_cases_come_from_a_list_of_nodules(tmp_path, capsys):
    nodules = tmp_path / "nodules.csv"
    nodules.write_text(NODULES)

    call_command("compile_protocol", a_file(tmp_path), f"--cases={nodules}")

    assert "4 cases: 16 readings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--cases=0"], "cannot be opened"),
        (["--readers=0"], "at least 1"),
        (["--cases=no.csv"], "no.csv cannot be opened"),
    ],
)
def test_what_cannot_be_rehearsed_is_told_in_one_sentence(tmp_path, arguments, says):
    with pytest.raises(CommandError, match=says):
        call_command("compile_protocol", a_file(tmp_path), *arguments)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CommandError, match="cannot be opened"):
        call_command("compile_protocol", tmp_path / "none.yaml")


def test_the_schema_is_printed(capsys):
    call_command("compile_protocol", "--schema")

    assert json.loads(capsys.readouterr().out) == protocol_schema()
