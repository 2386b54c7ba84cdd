"""Volumes, series and small models for the tests of the worker."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import torch
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from safetensors.torch import save_file

from inference.archive import Volume
from inference.backbone import (
    Backbone,
    BackboneSettings,
    full_tokenizer,
    load_backbone,
    new_backbone,
)
from inference.impressions import every_wording
from inference.lora import LoraSettings
from inference.model import Card, InputContract, Model, load_model
from inference.network import NoduleNetwork
from inference.prompts import Validity, default_prompts

TINY_CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 64,
        "patch_size": 16,
        "width": 32,
        "layers": 2,
        "head_width": 16,
    },
    "text_cfg": {"context_length": 48, "width": 32, "heads": 2, "layers": 1},
}


def a_volume(
    hu: NDArray[np.int16] | None = None,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    first_mm: tuple[float, float, float] = (-64.0, -64.0, -64.0),
) -> Volume:
    """A volume along the axes of the patient; spacing and first voxel as (x, y, z)."""
    if hu is None:
        hu = np.full((128, 128, 128), -850, dtype=np.int16)
    lps_from_index = np.diag([*spacing_mm, 1.0])
    lps_from_index[:3, 3] = first_mm
    return Volume(hu, lps_from_index, "1.2.1", "1.2.2", "1.2.3")


def a_series(
    hu: NDArray[np.int16],
    spacing_mm: tuple[float, float, float] = (0.8, 0.8, 2.5),
    first_mm: tuple[float, float, float] = (-20.0, -30.0, -40.0),
    **attributes: Any,
) -> list[Dataset]:
    """The slices of a CT series, as an archive sends them; `attributes` change every slice."""
    study, series, frame = (generate_uid() for _ in range(3))
    slices = []
    for number, values in enumerate(hu):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID = CTImageStorage
        one.SOPInstanceUID = generate_uid()
        one.StudyInstanceUID, one.SeriesInstanceUID = study, series
        one.FrameOfReferenceUID = frame
        one.Modality = "CT"
        one.InstanceNumber = number + 1
        one.Rows, one.Columns = values.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.PixelRepresentation = 1
        one.RescaleIntercept, one.RescaleSlope = -1024, 1
        one.PixelSpacing = [spacing_mm[1], spacing_mm[0]]
        one.SliceThickness = 5  # slices may overlap: this says nothing of their distance
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.ImagePositionPatient = [*first_mm[:2], first_mm[2] + number * spacing_mm[2]]
        one.PixelData = (values.astype(np.int16) + np.int16(1024)).tobytes()
        for name, value in attributes.items():
            setattr(one, name, value)
        slices.append(one)
    return slices


def write_series(slices: list[Dataset], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(slices):
        one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        pydicom.dcmwrite(folder / f"{number:03}.dcm", one, enforce_file_format=True)


def randomise_lora(network: NoduleNetwork) -> None:
    """Give the B matrices, which start at zero, values: as after some training."""
    for name, parameter in network.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.3)


def write_tiny_backbone(folder: Path, seed: int = 0) -> Backbone:
    """Write the folder `backbone/` of a model, with random weights."""
    torch.manual_seed(seed)
    context = TINY_CLIP["text_cfg"]["context_length"]
    vocabulary = sorted(set(full_tokenizer(context)(every_wording()).flatten().tolist()))
    text_config = TINY_CLIP["text_cfg"] | {"vocab_size": len(vocabulary)}
    config = TINY_CLIP | {"text_cfg": text_config}
    backbone = new_backbone(config, vocabulary)
    backbone.save(config, folder / "backbone")
    return backbone


def write_tiny_model(folder: Path, seed: int = 0, folds: int = 1) -> None:
    """Write a model folder with random weights and all its parts."""
    backbone = write_tiny_backbone(folder, seed)
    names = tuple(f"fold{number}.safetensors" for number in range(folds))
    settings = BackboneSettings(name="local-dir:backbone")
    for name in names:
        network = NoduleNetwork(load_backbone(settings, folder), LoraSettings())
        randomise_lora(network)
        save_file(network.trained_state(), folder / name)
    card = Card(
        title="Tiny",
        version="7",
        notice="Random weights.",
        demonstration=True,
        backbone=settings,
        folds=names,
        input=InputContract(size=backbone.image_size, mean=backbone.mean, std=backbone.std),
        token_mm=12.5,
        semantic={
            "margin": Validity(auroc=0.8, interval=(0.7, 0.9), n=100, valid=True),
            "consistency": Validity(auroc=0.9, interval=(0.8, 0.95), n=100, valid=True),
            "shape": Validity(auroc=0.5, interval=(0.4, 0.6), n=100, valid=False),
        },
    )
    (folder / "card.json").write_text(card.model_dump_json())
    (folder / "prompts.json").write_text(default_prompts().model_dump_json())
    calibration = '{"a": 1.2, "b": 0.8, "c": 0.1}'
    (folder / "calibration.json").write_text(f"[{', '.join([calibration] * folds)}]")


def tiny_model(models_dir: Path, seed: int = 0, folds: int = 1) -> Model:
    (models_dir / "tiny").mkdir(parents=True, exist_ok=True)
    write_tiny_model(models_dir / "tiny", seed, folds)
    return load_model("tiny", models_dir, torch.device("cpu"))
