"""Generated nodules as training data: their planes, features and truth, made once and kept."""

import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import phantom
from inference.nodules import STORED_WIDTH, UNKNOWN, Nodules
from inference.preprocess import nine_planes
from inference.prompts import FEATURES
from phantom import grid, nodule, noise, sample, vessels

FEW = 200  # fewer are drawn faster than processes for it are started
LEARNED = tuple(feature for feature in FEATURES if feature in phantom.FEATURES)
_DRAWING = (grid, nodule, noise, sample, vessels)


def generated_nodules(seeds: range, cache: Path) -> Nodules:
    """Draw the nodules of these seeds, or read them from the folder `cache`.

    What is cached is forgotten when the drawing of nodules or the cutting of planes changes.
    """
    key = hashlib.sha256(f"{seeds} {STORED_WIDTH}".encode())
    for module in (*_DRAWING, sys.modules[nine_planes.__module__]):
        key.update(Path(str(module.__file__)).read_bytes())
    path = cache / f"nodules-{key.hexdigest()[:16]}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(seeds) < FEW:
            rows = [_draw(seed) for seed in seeds]
        else:
            with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
                rows = list(pool.map(_draw, seeds, chunksize=20))
        columns = [np.stack(column) for column in zip(*rows, strict=True)]
        partial = path.with_suffix(".part.npz")
        np.savez(partial, *columns)
        partial.replace(path)
    with np.load(path) as stored:
        planes, drawn, diameter_mm, malignant, chance = (stored[name] for name in stored.files)
    categories = np.full((len(seeds), len(FEATURES)), UNKNOWN)
    categories[:, [list(FEATURES).index(name) for name in LEARNED]] = drawn
    return Nodules(planes, categories, diameter_mm, malignant, chance)


def _draw(seed: int) -> Sequence[NDArray[np.generic]]:
    sample = phantom.nodule_cube(seed)
    planes = np.rint(nine_planes(sample.hu, STORED_WIDTH) * 255).astype(np.uint8)
    categories = [FEATURES[name].index(sample.features[name]) for name in LEARNED]
    return (
        planes,
        np.array(categories, dtype=np.int64),
        np.array(sample.diameter_mm),
        np.array(sample.malignant),
        np.array(phantom.chance_of_malignancy(sample.diameter_mm, sample.features)),
    )
