"""Make the lock files anew: `python3 -m launcher.lock`, for those who change a requirement.

The locks hold no package that differs between machines, and no local version: torch's
build for the CPU and its build for CUDA are the same requirement.
"""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
HEADS = {
    "requirements": "# Every package of the product, exactly; made from requirements.txt by "
    "`make lock`.",
    "requirements-dev": "# What checks and tests add to requirements.lock; made from "
    "requirements-dev.txt by `make lock`.",
}
# What torch's CUDA build requires by itself, and an environment has without being asked.
MACHINE = re.compile(r"(pip|wheel|triton|nvidia-.*|cuda-.*)$")


def frozen(listing: str) -> list[str]:
    """Return the pins of a `pip freeze`, by name, without local versions."""
    pins = []
    for line in listing.splitlines():
        name, found, version = line.strip().partition("==")
        name = re.sub(r"[-_.]+", "-", name).lower()
        if found and not MACHINE.match(name):
            pins.append(f"{name}=={version.partition('+')[0]}")
    return sorted(pins)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        known: set[str] = set()
        for name, head in HEADS.items():
            subprocess.run(
                [python, "-m", "pip", "install", "-r", str(CHECKOUT / f"{name}.txt")], check=True
            )
            listing = subprocess.run(
                [python, "-m", "pip", "freeze", "--all"], capture_output=True, text=True, check=True
            ).stdout
            pins = [pin for pin in frozen(listing) if pin not in known]
            (CHECKOUT / f"{name}.lock").write_text("\n".join([head, *pins]) + "\n")
            known.update(pins)
    return 0


if __name__ == "__main__":
    sys.exit(main())
