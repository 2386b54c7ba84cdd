"""What the audit of `make check` notices, and that nothing it could not ask passes in silence."""

import json
import re
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection

from launcher import audit

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("broker", "reader_study", "inference", "phantom", "launcher", "benchmarks")
CODE = [path for package in PACKAGES for path in (CHECKOUT / package).rglob("*.py")]


def test_a_secret_in_a_file_is_found_and_what_people_have_noted_is_not(tmp_path):
    key = "AKIA" + "QYLPMN5HHHFPZAM2"  # as Amazon's are made; it opens nothing
    (tmp_path / "settings.env").write_text(f"REGION=eu\nAWS_KEY={key}\n")
    (tmp_path / "plain.txt").write_text("nothing here\n")

    found = audit.found_secrets(["settings.env", "plain.txt"], tmp_path)

    assert {(name, kind) for name, kind, _ in found} == {("settings.env", "AWS Access Key")}
    assert key not in str(found)
    for name, _, _ in audit.known_secrets():  # the notes are of files that exist
        assert (CHECKOUT / name).exists(), name


@pytest.mark.parametrize(
    ("terms", "fits"),
    [
        ("MIT", True),
        ("Apache-2.0 AND BSD-2-Clause", True),
        ("License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", True),
        ("LGPL-3.0-only", True),
        ("GPL-3.0-or-later", False),
        ("AGPL-3.0", False),
        ("License :: OSI Approved :: GNU General Public License v2 (GPLv2)", False),
        ("CC-BY-NC-4.0", False),
        ("Proprietary", False),
        ("", False),
    ],
)
def test_terms_that_do_not_fit_are_named(terms, fits):
    assert (audit.unfit([audit.Package("some", terms)]) == []) is fits


def test_only_what_is_part_of_the_front_end_is_asked_for_its_terms():
    lock = {"packages": {"": {}, "node_modules/a": {"license": "GPL-3.0"},
                         "node_modules/b": {"license": "GPL-3.0", "dev": True}}}  # fmt: skip

    assert audit.unfit(audit.npm_packages(lock)) == [audit.Package("a", "GPL-3.0")]


@pytest.mark.parametrize("required", [False, True])
def test_an_audit_that_nobody_answers_says_so(monkeypatch, capsys, required):
    skipped = {"dependencies": [{"name": "django", "skip_reason": "not found"}]}
    monkeypatch.setattr(audit, "_run", lambda c: json.dumps(skipped) if "npm" not in c else "{}")
    monkeypatch.setenv("REQUIRE_AUDIT", "1" if required else "")

    assert audit.vulnerabilities() == int(required)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3
    assert all(line.startswith("NOT audited: ") for line in said)


def test_a_known_vulnerability_fails(monkeypatch, capsys):
    bad = {
        "name": "django",
        "version": "5.2",
        "vulns": [{"id": "PYSEC-1", "fix_versions": ["5.3"]}],
    }
    of_npm = {"vulnerabilities": {"x": {"name": "x", "severity": "high"}}}
    monkeypatch.setattr(
        audit, "_run", lambda c: json.dumps(of_npm if "npm" in c else {"dependencies": [bad]})
    )

    assert audit.vulnerabilities() == 1
    said = capsys.readouterr().out
    assert "django 5.2: PYSEC-1, mended in ['5.3']" in said
    assert "x: high vulnerability" in said


# Nothing pickled is ever loaded: neither weights, nor arrays, nor messages, nor what is cached.


def test_nothing_in_the_code_loads_what_could_run_code():
    forbidden = {
        "pickle": r"^\s*(?:import|from) (?:pickle|dill|cloudpickle|joblib|shelve|marshal)\b",
        "numpy": r"allow_pickle\s*=\s*True",
        "torch": r"weights_only\s*=\s*False",
        "yaml": r"yaml\.(?:load|unsafe_load|full_load|load_all)\(",
        "serializer": r"serializer\w*\W+['\"]pickle",
    }
    found = [
        (path.name, what)
        for path in CODE
        for what, pattern in forbidden.items()
        if path.name != "test_audit.py" and re.search(pattern, path.read_text(), re.MULTILINE)
    ]
    assert found == []
    for path in CODE:
        for call in re.findall(r"torch\.load\((?:[^()]|\([^()]*\))*\)", path.read_text()):
            assert "weights_only=True" in call, path
    accepted = (CHECKOUT / "broker/__init__.py").read_text()
    assert '"accept_content": ["json"]' in accepted


@pytest.mark.django_db
def test_the_cache_holds_json():
    cache.set("what", {"times": [1.5, 2], "name": "é"}, timeout=60)
    with connection.cursor() as cursor:
        cursor.execute(
            "select convert_from(decode(value, 'base64'), 'utf8') from reader_study_cache"
        )
        rows = [json.loads(text) for (text,) in cursor.fetchall()]

    assert {"times": [1.5, 2], "name": "é"} in rows
    assert cache.get("what") == {"times": [1.5, 2], "name": "é"}
    with pytest.raises(TypeError):
        cache.set("what", object(), timeout=60)
