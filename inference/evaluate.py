"""Measure a model on nodules whose truth is known.

    python -m inference.evaluate MODEL --data folder/lidc_nodules.csv --json out.json
    python -m inference.evaluate MODEL --data nodules.csv --dicom FOLDER --json out.json

MODEL is a model's folder, or `demo` for the one that comes with the repository. The table is one
of nodules (`docs/model.md`), whose label is the truth, or one of crops: `inference/crops.py`
describes it, and says what of a crop the model is shown and what is lost. Of crops malignant is
a median suspicion above 3, benign one below 3; nodules at 3, or of fewer than three readers,
have no truth. That is what radiologists suspect: no pathology.

Intervals are 95 % percentile intervals of a bootstrap over patients. The diameter is the
table's, or that of a circle as large as the readers' mean mask, which has seen their outlines.
`combined` is a logistic regression on the model's logit and the logarithm of the diameter,
always fitted on other patients than it scores.

Patients that a model was trained or calibrated on (`patients.json` in its folder) are left
out and counted; so are rows whose image is missing, by name. `--against COLUMN` compares
with scores of another system in the same table, by DeLong's test. `--shortcuts` asks what
the model lives on: its AUROC where the nodule is painted over with lung (background alone),
where it is a plain disc of the same diameter (size and background), and where that disc lies
in lung and nothing else is shown (size alone). `--figures FOLDER` draws curves as SVG and PNG.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inference.crops import ENOUGH_READERS, LUNG_HU, TISSUE_HU, Crops, read_crops
from inference.data.cache import CropCache
from inference.data.images import Images
from inference.data.measurable import is_table, read_measurable
from inference.errors import ArchiveUnavailable, DataUnusable, ModelUnusable
from inference.estimates import (
    Bools,
    Comparison,
    Estimate,
    Floats,
    Rows,
    at_high_recall,
    auroc_of,
    between,
    calibration_of,
    combined_scores,
    compare,
    difference,
    groups_of,
    over_patients,
    pair_of,
)
from inference.evaluation import Beside, Evaluation, Semantic, printed
from inference.model import PROMPTS, Model, choose_device, embed_prompts, load_model
from inference.nodules import STORED_WIDTH, UNKNOWN
from inference.preprocess import HIGHEST_HU, LOWEST_HU, PLANE_MM, network_input
from inference.prompts import FEATURES, Prompts
from inference.settings import BUILT_IN_MODELS, read_settings
from inference.validity import weighted_auroc

BATCH = 16
STORE = Path("var/inference/crops")  # of planes cut from volumes
PATIENTS = "patients.json"
SIZES_MM = (8.0, 15.0)
THICKNESSES_MM = (1.5, 2.5)
# Of a table's columns, those whose values are groups of their own.
GROUPING = {"scanner": ("scanner", "manufacturer"), "site": ("site", "institution")}
DIAMETER = "diameter"


NOTES_OF_CROPS = (
    "The truth is radiologists' suspicion (median above 3 against below 3, three readers or "
    "more), not pathology.",
    "The model sees the axial slice alone, at 1 mm by pixel_spacing; Hounsfield units are "
    "estimated from lung and soft tissue, since the crops' scale is lost. The diameter comes from "
    "the readers' outlines.",
)


def semantic_of(crops: Crops, named: dict[str, Floats]) -> dict[str, Semantic]:
    """Hold a model's categories against the readers' median scores.

    A margin may be both lobulated and spiculated: each is also told from smooth alone.
    """
    found: dict[str, tuple[Floats, NDArray[np.int64]]] = {}
    for feature, probabilities in named.items():
        category = crops.nodules.categories_of(feature)
        known = category != UNKNOWN
        if known.any():
            found[feature] = (probabilities, category)
    if "margin" in named and {"lobulation", "spiculation"} <= crops.median.keys():
        smooth = named["margin"][:, FEATURES["margin"].index("smooth")]
        for score, category_name in (("lobulation", "lobulated"), ("spiculation", "spiculated")):
            present = named["margin"][:, FEATURES["margin"].index(category_name)]
            share = present / (present + smooth).clip(1e-300)
            of = crops.median[score]
            found[score] = (
                np.stack([1 - share, share], axis=1),
                np.where(np.isfinite(of), of >= 3, UNKNOWN),
            )
    found |= {name: (named[name], said) for name, said in crops.present.items() if name in named}
    result = {}
    for feature, (probabilities, category) in found.items():
        known = category != UNKNOWN
        p, c = probabilities[known], category[known]

        def of_rows(rows: Rows, p: Floats = p, c: Rows = c) -> float | None:
            return weighted_auroc(p[rows], c[rows]) if len(np.unique(c[rows])) > 1 else None

        one = over_patients(of_rows, crops.patient[known])
        result[feature] = Semantic(auroc=one.estimate, lower=one.lower, upper=one.upper, n=len(c))
    return result


def measure(
    crops: Crops,
    scores: Floats,
    named: dict[str, Floats],
    model: dict[str, str],
    against: Sequence[str] = (),
) -> Evaluation:
    """Measure scores (n,) and feature -> probabilities (n, categories) of these crops.

    Raises:
        DataUnusable: no nodule has three readers, or a column to compare with is no score.
    """
    enough = crops.readers >= ENOUGH_READERS
    if not enough.any():
        raise DataUnusable(f"No nodule of the table has {ENOUGH_READERS} readers or more.")
    has_truth = with_truth(crops)
    if not has_truth.any():
        raise DataUnusable("No nodule of the table has a median suspicion above or below 3.")
    of, p = crops.rows(has_truth), scores[has_truth]
    positive, diameter = of.nodules.malignant, of.nodules.diameter_mm
    by_model = pair_of(p, positive, of.patient)
    sized = np.isfinite(diameter)  # where nobody measured, the diameter is left out
    of_sized = (positive[sized], of.patient[sized])
    joined = combined_scores(p[sized], diameter[sized], *of_sized)
    return Evaluation(
        model=model,
        nodules=len(of),
        patients=len(np.unique(of.patient)),
        malignant=int(positive.sum()),
        benign=int((~positive).sum()),
        left_out=crops.left_out,
        left_out_as_seen=0,
        auroc=by_model.auroc,
        auprc=by_model.auprc,
        baseline_diameter=Beside.of(pair_of(diameter[sized], *of_sized)),
        combined=Beside.of(pair_of(joined, *of_sized)),
        model_minus_diameter=difference(p[sized], diameter[sized], *of_sized),
        combined_minus_diameter=difference(joined, diameter[sized], *of_sized),
        against=comparisons(of, p, against),
        calibration=calibration_of(p, positive, of.patient),
        at_high_recall=at_high_recall(p, positive, of.patient),
        subgroups={
            name: groups_of(groups, p, diameter, positive, of.patient)
            for name, groups in grouped(of).items()
        },
        semantic=semantic_of(
            crops.rows(enough), {name: found[enough] for name, found in named.items()}
        ),
        notes=[
            *(of.notes or NOTES_OF_CROPS),
            "Intervals: 95 %, bootstrap over patients; `against`: DeLong, nodules clustered by "
            "patient. The combination is fitted on other patients than it scores.",
            *([] if len(np.unique(positive)) > 1 else [_of_one_class(positive)]),
            *([] if sized.all() else [f"Without a diameter: {int((~sized).sum())} nodules."]),
            *(
                [f"Without an image, left out: {', '.join(crops.missing)}."]
                if crops.missing
                else []
            ),
            *(
                f"The table has no column {' or '.join(columns)}: no subgroups by {name}."
                for name, columns in GROUPING.items()
                if not any(column in of.columns for column in columns)
            ),
        ],
    )


def _of_one_class(positive: Bools) -> str:
    which = "malignant" if positive.any() else "benign"
    return f"All {len(positive)} nodules are {which}: what needs both classes is not defined."


def with_truth(crops: Crops) -> Bools:
    """Return which nodules count as malignant or benign, (n,)."""
    has: Bools = (crops.readers >= ENOUGH_READERS) & (crops.suspicion != 3)
    return has


def comparisons(of: Crops, scores: Floats, against: Sequence[str]) -> dict[str, Comparison]:
    """Compare scores with the diameter, and with each of the columns `against`.

    Where a column is empty, its nodule is left out of that comparison.
    """
    found = {}
    measured = np.isfinite(of.nodules.diameter_mm).any()
    for name in (*([DIAMETER] if measured else []), *against):
        others = of.nodules.diameter_mm if name == DIAMETER else of.numbers(name)
        known = np.isfinite(others)
        found[name] = compare(
            scores[known], others[known], of.nodules.malignant[known], of.patient[known]
        )
    return found


def grouped(of: Crops) -> dict[str, dict[str, Bools]]:
    """Return subgroup -> group -> rows, of what the table tells."""
    consistency = of.nodules.categories_of("consistency")
    groups = {
        "size": between(of.nodules.diameter_mm, SIZES_MM, "mm"),
        "consistency": {
            name: consistency == place for place, name in enumerate(FEATURES["consistency"])
        },
    }
    if "slice_thickness" in of.columns:
        groups["slice_thickness"] = between(of.numbers("slice_thickness"), THICKNESSES_MM, "mm")
    if "contrast_used" in of.columns:
        used = of.columns["contrast_used"]
        groups["contrast"] = {"with contrast": used == "1", "without contrast": used == "0"}
    for name, columns in GROUPING.items():
        for column in columns:
            if column in of.columns:
                values = of.columns[column]
                groups[name] = {str(value): values == value for value in np.unique(values)}
    return groups


@torch.no_grad()
def look_at(model: Model, prompts: Prompts, crops: Crops) -> tuple[Floats, dict[str, Floats]]:
    """Return calibrated scores (n,), and feature -> probabilities (n, categories).

    Every feature with prompts is tried, also those the card does not call valid.
    """
    contract, edge = model.card.input, (crops.nodules.planes.shape[-1] - PLANE_MM) // 2
    inner = slice(edge, edge + PLANE_MM)
    scores = np.zeros(len(crops))
    named = {name: np.zeros((len(crops), len(of))) for name, of in prompts.root.items()}
    for network, calibrate in zip(model.networks, model.calibrations, strict=True):
        sentences = embed_prompts(network, prompts, model.device)
        for first in range(0, len(crops), BATCH):
            rows = slice(first, first + BATCH)
            planes = torch.from_numpy(crops.nodules.planes[rows, :, inner, inner]).float() / 255
            images = network_input(
                planes.flatten(0, 1), contract.size, contract.mean, contract.std
            ).view(*planes.shape[:2], 3, contract.size, contract.size)
            output = network.images(images.to(model.device))
            raw = output.logits.double().softmax(dim=1)[:, 1].tolist()
            scores[rows] += [calibrate(p) / len(model.networks) for p in raw]
            for name, of in sentences.items():
                cosines = output.embedding @ torch.stack([of[one] for one in FEATURES[name]]).T
                found = (network.temperature() * cosines).double().softmax(dim=1).cpu().numpy()
                named[name][rows] += found / len(model.networks)
    return scores, named


def seen_patients(folder: Path) -> set[str]:
    """Return the patients a model was trained or calibrated on, as far as its folder tells."""
    path = folder / PATIENTS
    if not path.is_file():
        return set()
    return {name for names in json.loads(path.read_text()).values() for name in names}


def shortcuts_of(model: Model, crops: Crops) -> dict[str, Estimate]:
    """Return the AUROC on background alone, on a plain disc in its place, and on discs alone.

    The nodule is taken as a circle of its diameter; what is painted over is 2 mm larger.
    """
    of = crops.rows(with_truth(crops) & np.isfinite(crops.nodules.diameter_mm))
    distance = np.hypot(*(np.indices(of.nodules.planes.shape[-2:]) - STORED_WIDTH // 2))
    radius = of.nodules.diameter_mm[:, None, None, None] / 2
    lung, tissue = _shade(LUNG_HU), _shade(TISSUE_HU)
    background = np.where(distance <= radius + 2, lung, of.nodules.planes)
    painted = {
        "background alone": background,
        "size and background": np.where(distance <= radius, tissue, background),
        "size alone": np.where(distance <= radius, tissue, np.full_like(background, lung)),
    }
    result = {}
    for name, planes in painted.items():
        shown = replace(of, nodules=replace(of.nodules, planes=planes.astype(np.uint8)))
        scores, _ = look_at(model, Prompts({}), shown)
        result[name] = auroc_of(scores, of.nodules.malignant, of.patient)
    return result


def _shade(hu: float) -> int:
    return round((hu - LOWEST_HU) / (HIGHEST_HU - LOWEST_HU) * 255)


def evaluate(
    folder: Path,
    table: Path,
    *,
    shortcuts: bool = False,
    against: Sequence[str] = (),
    figures: Path | None = None,
    dicom: Path | None = None,
    dicomweb: str | None = None,
    cache: Path = STORE,
) -> Evaluation:
    """Measure the model in `folder` on a table of nodules or of crops.

    Raises:
        ModelUnusable, DataUnusable: one of them cannot be read.
        ArchiveUnavailable: the DICOMweb server does not answer.
    """
    settings = read_settings(os.environ)
    torch.set_num_threads(settings.threads)
    if is_table(table):
        images = Images(table.parent, dicom, dicomweb, settings.service_token)
        crops = read_measurable(table, images, CropCache(cache))
    else:
        crops = read_crops(table, leave_out_missing=True)
    model = load_model(folder.name, folder.parent, choose_device(settings.device))
    prompts = Prompts.model_validate_json((folder / PROMPTS).read_text())
    fresh = ~np.isin(crops.patient, sorted(seen_patients(folder)))
    if not fresh.any():
        raise DataUnusable(f"The model {model.name} was trained on every patient of {table}.")
    left_out_as_seen, crops = int((~fresh).sum()), crops.rows(fresh)
    scores, named = look_at(model, prompts, crops)
    about = {"name": model.name, "version": model.card.version, "hash": model.hash}
    found = measure(crops, scores, named, about, against)
    found.left_out_as_seen = left_out_as_seen
    if shortcuts:
        found.shortcuts = shortcuts_of(model, crops)
    if figures:
        from inference.figures import draw  # matplotlib takes seconds to load

        has_truth = with_truth(crops)
        of = crops.rows(has_truth)
        diameter, positive = of.nodules.diameter_mm, of.nodules.malignant
        curves = {"model": scores[has_truth]}
        if np.isfinite(diameter).all():
            joined = combined_scores(scores[has_truth], diameter, positive, of.patient)
            curves |= {"diameter alone": diameter, "both": joined}
        draw(figures, curves, positive, found)
    return found


def folder_of(given: str) -> Path:
    """Return the folder of a model as commands name it: a path, or `demo`."""
    return BUILT_IN_MODELS / "demonstration" if given == "demo" else Path(given).resolve()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a model's folder, or demo")
    parser.add_argument("--data", type=Path, required=True, help="the table of nodules")
    parser.add_argument("--dicom", type=Path, help="the folder of the series a table names")
    parser.add_argument("--dicomweb", help="a DICOMweb server that has them")
    parser.add_argument("--json", type=Path, help="where to write what was found")
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="COLUMN",
        help="compare with the scores in this column of the table; may be repeated",
    )
    parser.add_argument("--shortcuts", action="store_true", help="also without the nodule")
    parser.add_argument("--figures", type=Path, help="a folder for figures as SVG and PNG")
    arguments = parser.parse_args()
    try:
        evaluation = evaluate(
            folder_of(arguments.model),
            arguments.data,
            shortcuts=arguments.shortcuts,
            against=arguments.against,
            figures=arguments.figures,
            dicom=arguments.dicom,
            dicomweb=arguments.dicomweb,
        )
        if arguments.json:
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            arguments.json.write_text(evaluation.model_dump_json(indent=2) + "\n")
    except (DataUnusable, ModelUnusable, ArchiveUnavailable, OSError) as error:
        print(f"The evaluation cannot be made: {error}", file=sys.stderr)
        return 1
    print(printed(evaluation))
    return 0


if __name__ == "__main__":
    sys.exit(main())
