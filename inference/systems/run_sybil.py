"""Adapter of Sybil: the risk of lung cancer within some years from one low-dose CT.

Mikhael PG et al. Sybil: a validated deep learning model to predict future lung cancer risk from a
single low-dose chest computed tomography. J Clin Oncol 2023;41:2191-2200.

Sybil takes spacing between slices from SliceThickness: a series whose slices overlap or leave gaps
is another one to it. It was trained on NLST.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent))  # which `-I` leaves out
from talking import Score, converse

YEARS = 6


def start(options: argparse.Namespace) -> tuple[dict[str, str], Score]:
    import sybil

    if not hasattr(sybil, "Serie") or not hasattr(sybil, "Sybil"):
        raise ImportError("the package sybil that is installed there is not the lung cancer model")
    model = sybil.Sybil(options.weights)

    def score(files: list[str]) -> Any:
        risks = model.predict([sybil.Serie(files)]).scores[0]
        return risks[options.year - 1]

    about = {
        "system": "sybil",
        "version": importlib.metadata.version("sybil"),
        "weights": f"{options.weights}, year {options.year}",
    }
    return about, score


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", default="sybil_ensemble", help="a name or a path")
    parser.add_argument("--year", type=int, default=1, choices=range(1, YEARS + 1))
    options = parser.parse_args()
    code: int = converse(lambda: start(options))
    return code


if __name__ == "__main__":
    sys.exit(main())
