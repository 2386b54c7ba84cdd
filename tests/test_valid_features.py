"""A semantic feature that does not beat chance on held out nodules reaches no reader."""

import json
import shutil

import numpy as np
import pytest
import torch
from django.urls import reverse

import phantom
from inference.archive import Volume
from inference.model import load_model
from inference.predict import predict_nodule
from inference.settings import BUILT_IN_MODELS
from reader_study.actions.prediction import record_prediction
from reader_study.domain.reading import Stage
from reader_study.models import Nodule, Prediction
from tests.factories import NOW, a_job, a_reading

pytestmark = pytest.mark.django_db


def test_what_the_card_does_not_call_valid_is_neither_predicted_stored_nor_shown(client, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(BUILT_IN_MODELS / "demonstration", folder)
    card = json.loads((folder / "card.json").read_text())
    valid = {name for name, found in card["semantic"].items() if found["valid"]}
    dropped = min(valid)
    # No better than chance: the interval holds 0.5.
    card["semantic"][dropped] |= {"auroc": 0.52, "interval": [0.44, 0.6], "valid": False}
    (folder / "card.json").write_text(json.dumps(card))
    torch.set_num_threads(1)
    model = load_model("mine", tmp_path, torch.device("cpu"))
    place = np.eye(4)
    place[:3, 3] = -50
    sample = phantom.nodule_cube(4_000_000)
    found = predict_nodule(model, Volume(sample.hu, place, "1", "2", "3"), (0.0, 0.0, 0.0))

    reading = a_reading(stage=Stage.AIDED)
    nodule = Nodule.objects.get(series__case=reading.case)
    record_prediction(job_id=a_job(nodule).pk, message=found, now=NOW)
    client.force_login(reading.reader.user)
    answer = client.get(reverse("api-ai", args=[reading.pk]))

    assert answer.status_code == 200
    (shown,) = answer.json()["nodules"].values()
    assert set(shown["semantic"]) == valid - {dropped} != set()
    assert set(Prediction.objects.get().bundle["semantic"]) == valid - {dropped}
