"""The documents say what is so."""

import re
from pathlib import Path
from typing import get_args

import pytest

from reader_study.domain.questionnaire import Question

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    broken = [link for link in links if "://" not in link and not (document.parent / link).exists()]

    assert broken == []


def test_every_setting_is_documented_and_every_documented_one_is_read():
    readers = "_required|_words|_switch|_number|_one_of|_address|_networks|_database"
    reading = rf"""(?:{readers}|environ\.get|environ\.setdefault|environ)[(\[]\s*"([A-Z_]+)\""""
    files = ("reader_study/settings.py", "reader_study/server.py", "broker/__init__.py")
    source = "".join((ROOT / name).read_text() for name in files)
    # MANAGE is what manage.py says of itself, and no setting.
    read = (set(re.findall(reading, source)) | {"BROKER_URL"}) - {"MANAGE"}
    worker = (ROOT / "inference/settings.py").read_text()
    read |= {name.upper() for name in re.findall(r"^    ([a-z_]+): ", worker, re.MULTILINE)}

    table = (ROOT / "docs/deployment.md").read_text()
    cells = re.findall(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|", table, re.MULTILINE)
    documented = {name for cell in cells for name in re.findall("[A-Z_]+", cell)}

    assert documented == read


def test_every_command_is_documented_and_every_documented_one_exists():
    commands = {path.stem for path in (ROOT / "reader_study/management/commands").glob("[a-z]*.py")}
    guide = (ROOT / "docs/deployment.md").read_text()
    targets = re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)

    listed = re.findall(r"^\| `manage\.py ([a-z_]+)[^`]*` \|", guide, re.MULTILINE)
    made = re.findall(r"^\| `make ([a-z-]+)[^`]*` \|", guide, re.MULTILINE)

    assert sorted(listed) == sorted(commands)
    assert sorted(made) == sorted(targets)
    # What any document says to type exists, too.
    said = {(path.name, name) for path in DOCUMENTS
            for name in re.findall(r"manage\.py ([a-z_]+)", path.read_text())}  # fmt: skip
    ours = {name for _, name in said} - {"migrate", "createsuperuser", "collectstatic", "shell"}
    assert ours <= commands


def test_every_type_of_question_is_documented_and_no_other():
    kinds = set(get_args(Question.model_fields["kind"].annotation))
    guide = (ROOT / "docs/protocol.md").read_text()

    (table,) = re.findall(r"^\| `kind` of a question \|.*\n((?:\|.*\n)+)", guide, re.MULTILINE)

    assert set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)) == kinds
    for name in Question.model_fields:
        assert re.search(rf"`{name}\b|^ *(?:- )?{name}:|, {name}:", guide, re.MULTILINE), name
