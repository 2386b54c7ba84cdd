"""Make torchvision importable beside the CPU build of torch, for open_clip and peft.

The torchvision wheel on PyPI is linked against the CUDA build: beside the CPU build its
compiled operators do not load, and importing it stops at the description of
`torchvision::nms`. The two need its pure Python transforms only, so two declarations are
enough. Beside a matching torch this changes nothing.
"""

import importlib
import sys
from typing import Any

import torch

_declarations: list[Any] = []  # a library is withdrawn when it is collected


def make_torchvision_importable() -> bool:
    """Import torchvision; return whether its operators had to be declared for that."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    else:
        return False
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declarations.append(library)
    importlib.import_module("torchvision")
    return True
