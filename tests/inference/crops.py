"""A small folder of crops, made like those of LIDC-IDRI."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LUNG, TISSUE = -860, 25


def a_slice(diameter_mm: float, spacing_mm: float, seed: int = 0) -> NDArray[np.float64]:
    """Lung with a round solid nodule and a chest wall, in HU."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((128, 128))
    hu = np.where(x > 105, float(TISSUE), float(LUNG)) + rng.normal(0, 15, (128, 128))
    nodule = np.hypot(y - 64.5, x - 64.5) * spacing_mm <= diameter_mm / 2
    hu[nodule] = TISSUE
    hu[0, 127] = 700  # bone, the greatest value
    return hu


def stretched(hu: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Scale from the least to the greatest, which loses the scale."""
    grey = (hu - hu.min()) / (hu.max() - hu.min()) * 255
    whole: NDArray[np.uint8] = np.rint(grey).astype(np.uint8)
    return whole


def a_row(number: int, diameter_mm: float, **changed: Any) -> dict[str, Any]:
    suspicious = diameter_mm > 10
    return {
        "file": f"nodule{number}.png",
        "patient_id": f"P{number // 2}",
        "pixel_spacing": 0.7,
        "mask_area_px": round(np.pi * (diameter_mm / 2 / 0.7) ** 2),
        "malignancy": "4 5 4" if suspicious else "1 2 2",
        "sphericity": "4 5 3" if number % 3 else "2 3 3",
        "margin": "5 4 5" if number % 3 else "2 1 2",
        "lobulation": "1 1 4",
        "spiculation": "5 4 1" if number % 4 == 0 else "1 1 1",
        "texture": "5 5 5" if number % 2 else "1 1 2",
    } | changed


def write_crops(folder: Path, rows: list[dict[str, Any]]) -> Path:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows):
        spacing = float(row["pixel_spacing"] or 0.7)
        area = float(str(row["mask_area_px"]).split()[0]) if row["mask_area_px"] else 20.0
        hu = a_slice(2 * spacing * np.sqrt(area / np.pi), spacing, number)
        Image.fromarray(stretched(hu)).save(folder / "images" / row["file"])
    table = folder / "lidc_nodules.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table
