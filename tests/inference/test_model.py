import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.errors import ModelUnusable
from inference.model import Model, choose_device, load_model
from inference.predict import predict_nodule
from tests.inference.examples import a_volume, tiny_model, write_tiny_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(models_dir: Path) -> Model:
    return tiny_model(models_dir)


def test_a_model_loaded_again_is_the_same_and_scores_the_same(
    model: Model, models_dir: Path
) -> None:
    again = load_model("tiny", models_dir, CPU)
    assert again.hash == model.hash
    first = predict_nodule(model, a_volume(), (0, 0, 0))
    second = predict_nodule(again, a_volume(), (0, 0, 0))
    assert first | {"seconds": 0} == second | {"seconds": 0}


def test_a_score_depends_neither_on_the_size_nor_on_the_order_of_a_batch(model: Model) -> None:
    images = torch.randn(5, 9, 3, 64, 64)
    order = torch.tensor([3, 0, 4, 1, 2])
    network = model.networks[0]
    with torch.no_grad():
        together = network.images(images).logits
        shuffled = network.images(images[order]).logits
        alone = torch.cat([network.images(one[None]).logits for one in images])
    assert (together - alone).abs().max() < 1e-5
    assert (together[order] - shuffled).abs().max() < 1e-5


@pytest.mark.parametrize("file", ["fold0.safetensors", "backbone/open_clip_model.safetensors"])
def test_the_hash_changes_with_any_weight(tmp_path: Path, model: Model, file: str) -> None:
    write_tiny_model(tmp_path / "tiny")
    weights = load_file(tmp_path / "tiny" / file)
    assert load_model("tiny", tmp_path, CPU).hash == model.hash  # the seed is the same
    name = next(name for name, tensor in weights.items() if tensor.numel() > 1)
    weights[name].view(-1)[1] += 1e-3
    save_file(weights, tmp_path / "tiny" / file)

    changed = load_model("tiny", tmp_path, CPU)
    assert changed.weights_hash != model.weights_hash
    assert changed.hash != model.hash


def test_the_hash_but_not_that_of_the_weights_changes_with_the_card(
    tmp_path: Path, model: Model
) -> None:
    write_tiny_model(tmp_path / "tiny")
    card = json.loads((tmp_path / "tiny" / "card.json").read_text())
    (tmp_path / "tiny" / "card.json").write_text(json.dumps(card | {"version": "8"}))
    changed = load_model("tiny", tmp_path, CPU)
    assert changed.weights_hash == model.weights_hash
    assert changed.hash != model.hash


def test_an_unknown_model_is_refused_with_those_there_are(models_dir: Path, model: Model) -> None:
    for name in ("other", "../tiny"):
        with pytest.raises(ModelUnusable, match="there: tiny"):
            load_model(name, models_dir, CPU)


def lose_a_weight(folder: Path) -> None:
    weights = load_file(folder / "fold0.safetensors")
    weights.popitem()
    save_file(weights, folder / "fold0.safetensors")


def rename_a_weight(folder: Path) -> None:
    weights = load_file(folder / "fold0.safetensors")
    weights["logit_scales"] = weights.pop("logit_scale")
    save_file(weights, folder / "fold0.safetensors")


def another_window(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    card["input"]["highest_hu"] = 400
    (folder / "card.json").write_text(json.dumps(card))


def unknown_word(folder: Path) -> None:
    prompts = json.loads((folder / "prompts.json").read_text())
    prompts["margin"]["smooth"] = ["The nodule is velvety."]
    (folder / "prompts.json").write_text(json.dumps(prompts))


def another_category(folder: Path) -> None:
    prompts = json.loads((folder / "prompts.json").read_text())
    prompts["margin"]["jagged"] = ["The nodule is spiculated."]
    (folder / "prompts.json").write_text(json.dumps(prompts))


def no_weights(folder: Path) -> None:
    (folder / "backbone" / "open_clip_model.safetensors").unlink()


def no_calibration(folder: Path) -> None:
    (folder / "calibration.json").write_text("[]")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lose_a_weight, "missing or too many"),
        (rename_a_weight, "missing or too many"),
        (another_window, "not what this code prepares"),
        (unknown_word, 'every word of "The nodule is velvety."'),
        (another_category, "margin has the categories"),
        (no_weights, "cannot be loaded"),
        (no_calibration, "1 folds and 0 calibrations"),
        (lambda folder: (folder / "prompts.json").unlink(), "lacks the file prompts.json"),
        (lambda folder: (folder / "fold0.safetensors").unlink(), "lacks the file fold0"),
        (lambda folder: (folder / "card.json").write_text("{"), "card.json: the file"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(
    tmp_path: Path, spoil: object, sentence: str
) -> None:
    write_tiny_model(tmp_path / "tiny")
    assert callable(spoil)
    spoil(tmp_path / "tiny")
    with pytest.raises(ModelUnusable, match=sentence):
        load_model("tiny", tmp_path, CPU)


def test_no_fold_carries_the_adapter_of_another(tmp_path: Path) -> None:
    """The same adapter in every fold: each must score as it does alone."""
    (tmp_path / "one").mkdir()
    write_tiny_model(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "three")
    card = json.loads((tmp_path / "three" / "card.json").read_text())
    card["folds"] = ["fold0.safetensors"] * 3
    (tmp_path / "three" / "card.json").write_text(json.dumps(card))
    calibration = json.loads((tmp_path / "one" / "calibration.json").read_text())
    (tmp_path / "three" / "calibration.json").write_text(json.dumps(calibration * 3))
    alone = load_model("one", tmp_path, CPU).networks[0]
    images = torch.randn(1, 9, 3, 64, 64)
    for network in load_model("three", tmp_path, CPU).networks:
        assert torch.equal(network.images(images).logits, alone.images(images).logits)


def test_folds_count_equally(tmp_path: Path) -> None:
    both = tiny_model(tmp_path, folds=2)
    assert both.networks[0] is not both.networks[1]
    found = predict_nodule(both, a_volume(), (0, 0, 0))
    single = []
    for place in range(2):
        folder = tmp_path / f"alone{place}"
        folder.mkdir()
        write_tiny_model(folder / "tiny", folds=2)
        card = json.loads((folder / "tiny" / "card.json").read_text())
        card["folds"] = [f"fold{place}.safetensors"]
        (folder / "tiny" / "card.json").write_text(json.dumps(card))
        calibrations = json.loads((folder / "tiny" / "calibration.json").read_text())
        (folder / "tiny" / "calibration.json").write_text(json.dumps(calibrations[:1]))
        single.append(
            predict_nodule(load_model("tiny", folder, CPU), a_volume(), (0, 0, 0))["probability"]
        )
    assert single[0] != single[1]
    assert found["probability"] == pytest.approx(sum(single) / 2, abs=1e-7)


def test_cuda_is_not_promised_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ModelUnusable, match="DEVICE"):
        choose_device("cuda")
