"""The documents say what is so."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    broken = [link for link in links if "://" not in link and not (document.parent / link).exists()]

    assert broken == []


def test_every_setting_is_documented_and_every_documented_one_is_read():
    reading = r"""(?:_required|_words|_switch|environ\.get|environ)[(\[]\s*"([A-Z_]+)\""""
    source = (ROOT / "reader_study/settings.py").read_text()
    # MANAGE is what manage.py says of itself, and no setting.
    read = (set(re.findall(reading, source)) | {"BROKER_URL"}) - {"MANAGE"}
    worker = (ROOT / "inference/settings.py").read_text()
    read |= {name.upper() for name in re.findall(r"^    ([a-z_]+): ", worker, re.MULTILINE)}

    table = (ROOT / "docs/deployment.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE))

    assert documented == read
