import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from inference.settings import BUILT_IN_MODELS
from reader_study.models import ModelVersion
from tests.factories import a_result

pytestmark = pytest.mark.django_db

PASSED = {
    "nodules": 2,
    "score_differs_by": 1e-7,
    "embedding_differs_by": 0.0,
    "tolerance": 1e-4,
    "passed": True,
}


def told(folder: Path, **changes) -> Path:
    file = folder / "selftest.json"
    said = {"model": a_result()["model"], "input": {"planes": 9}, "selftest": {**PASSED, **changes}}
    file.write_text(json.dumps(said))
    return file


def test_the_model_that_comes_along_gives_the_scores_kept_with_it_and_is_registered_once():
    for _ in range(2):
        call_command("register_model", str(BUILT_IN_MODELS / "demonstration"))
    version = ModelVersion.objects.get()
    assert version.name == "demonstration"
    assert version.card["calibration"]


def test_a_model_that_scores_its_own_nodules_otherwise_is_refused(tmp_path):
    with pytest.raises(CommandError, match="does not score the nodules kept with it"):
        call_command("register_model", str(told(tmp_path, score_differs_by=0.01)))
    (tmp_path / "selftest.json").write_text("{}")
    with pytest.raises(CommandError, match="holds no result"):
        call_command("register_model", str(tmp_path / "selftest.json"))
    with pytest.raises(CommandError, match="cannot be tested"):
        call_command("register_model", str(tmp_path))  # a folder that is no model
    assert not ModelVersion.objects.exists()
    call_command("register_model", str(told(tmp_path)))
    assert ModelVersion.objects.count() == 1
