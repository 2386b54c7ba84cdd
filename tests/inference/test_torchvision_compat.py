import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(code: str, path: Path = ROOT) -> str:
    environment = os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_open_clip_and_peft_import_whatever_torchvision_was_linked_against() -> None:
    code = """
try:
    import torchvision
    loads = True
except RuntimeError:
    loads = False
from inference.torchvision_compat import make_torchvision_importable
declared = make_torchvision_importable()
from torchvision.transforms import Normalize
print(declared == (not loads), make_torchvision_importable())
"""
    assert run(code) == "True False"


def test_a_torchvision_that_loads_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("mark = 'as it was'")
    code = """
from inference.torchvision_compat import make_torchvision_importable
declared = make_torchvision_importable()
import torch, torchvision
print(declared, torchvision.mark, hasattr(torch.ops.torchvision, "nms"))
"""
    assert run(code, tmp_path) == "False as it was False"


def test_another_fault_of_torchvision_is_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('disk on fire')")
    code = """
from inference.torchvision_compat import make_torchvision_importable
try:
    make_torchvision_importable()
except RuntimeError as error:
    print(error)
"""
    assert run(code, tmp_path) == "disk on fire"
