"""Another system over the series of a study: its scores as a model of the study."""

import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

import phantom
from reader_study.actions.cases import import_cases
from reader_study.models import Job, ModelVersion, Nodule, Prediction, Study
from tests.factories import a_study

pytestmark = pytest.mark.django_db

# Stands in for the interpreter of the system's environment, and for the system.
A_SYSTEM = """
import json, sys
if "--classifier=none" in sys.argv:
    print(json.dumps({"error": "no such classifier"}), flush=True)
    sys.exit(3)
weights = next(word for word in sys.argv if "classifier" in word)
print(json.dumps({"system": "astra", "version": "0.1.6", "weights": weights}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"id": request["id"], "score": len(request["files"]) / 1000}), flush=True)
"""


@pytest.fixture
def python(tmp_path, settings) -> str:
    settings.VAR_DIR = tmp_path / "var"
    (tmp_path / "system.py").write_text(A_SYSTEM)
    file = tmp_path / "python"
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "system.py"}" "$@"\n')
    file.chmod(0o755)
    return str(file)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    folder = tmp_path / "ct"
    cases = phantom.demo_cases(2, rows=64)
    for case in cases:
        phantom.write_case(case, folder)
    phantom.write_nodules_csv(cases, folder / "nodules.csv")
    study = a_study(is_open=False)
    import_cases(study=study, folder=folder, nodules=folder / "nodules.csv", now=timezone.now())
    return study


def test_a_system_scores_every_series_and_a_second_run_changes_nothing(study, python, capsys):
    options = ["classifier=a.npz"]
    call_command("run_system", study.slug, "astra", python=python, options=options)
    call_command("run_system", study.slug, "astra", python=python, options=options)
    count = Nodule.objects.count()
    assert f"{count} stored, 0 were there already" in capsys.readouterr().out
    for prediction in Prediction.objects.select_related("job__nodule__series"):
        assert prediction.probability == prediction.job.nodule.series.slices / 1000
    assert Prediction.objects.count() == count > 1
    version = ModelVersion.objects.get()
    assert (version.name, version.version) == ("astra", "0.1.6 (--classifier=a.npz)")

    # Another classifier is another model, and has to be called so.
    other = ["classifier=b.npz"]
    call_command("run_system", study.slug, "astra", python=python, options=other, model="astra-b")
    assert ModelVersion.objects.get(name="astra-b").hash != version.hash


def test_a_system_that_cannot_work_stores_nothing_and_says_why(study, python):
    with pytest.raises(CommandError, match="astra cannot work: no such classifier"):
        call_command("run_system", study.slug, "astra", python=python, options=["classifier=none"])
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("run_system", study.slug, "pillar", python=python)
    assert not Job.objects.exists()
