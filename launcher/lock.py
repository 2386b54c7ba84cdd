"""Make the lock files anew: `python3 -m launcher.lock`, for those who change a requirement.

The Python locks hold no package that differs between machines, and no local version:
torch's build for the CPU and its build for CUDA are the same requirement. The npm lock
holds the builds for every machine, also those that the registry at hand does not offer.
"""

import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
NPM_LOCK = CHECKOUT / "frontend" / "package-lock.json"
HEADS = {
    "requirements": "# Every package of the product, exactly; made from requirements.txt by "
    "`make lock`.",
    "requirements-dev": "# What checks and tests add to requirements.lock; made from "
    "requirements-dev.txt by `make lock`.",
}
# What torch's CUDA build requires by itself, and an environment has without being asked.
MACHINE = re.compile(r"(pip|wheel|triton|nvidia-.*|cuda-.*)$")
SYSTEMS = ("aix", "android", "darwin", "freebsd", "linux", "openharmony", "win32")
PROCESSORS = ("arm64", "x64", "arm", "ia32", "ppc64", "riscv64", "s390x", "wasm32")


def frozen(listing: str) -> list[str]:
    """Return the pins of a `pip freeze`, by name, without local versions."""
    pins = []
    for line in listing.splitlines():
        name, found, version = line.strip().partition("==")
        name = re.sub(r"[-_.]+", "-", name).lower()
        if found and not MACHINE.match(name):
            pins.append(f"{name}=={version.partition('+')[0]}")
    return sorted(pins)


def left_out(packages: dict[str, Any]) -> dict[str, Any]:
    """Return entries for the builds for other machines that an npm lock has left out.

    npm leaves out what its registry does not offer, and `npm ci` then refuses the lock. A
    build for another machine is never fetched, so that its name and version are enough.
    """
    missing = {}
    for path, package in packages.items():
        for name, version in package.get("optionalDependencies", {}).items():
            place = f"node_modules/{name}"
            if place in packages or f"{path}/{place}" in packages:
                continue
            words = name.rpartition("/")[2].split("-")
            missing[place] = {
                "version": version,
                "cpu": [word for word in words if word in PROCESSORS],
                **({"dev": True} if package.get("dev") else {}),
                **({"libc": ["musl"]} if "musl" in words else {}),
                "optional": True,
                "os": [word for word in words if word in SYSTEMS],
            }
    return missing


def complete(lock: Path) -> None:
    """Write into an npm lock what it has left out."""
    content = json.loads(lock.read_text())
    packages = {**content["packages"], **left_out(content["packages"])}
    content["packages"] = {path: packages[path] for path in sorted(packages)}
    lock.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _lock_python() -> None:
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


def _lock_npm() -> None:
    command = ["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=NPM_LOCK.parent, check=True)
    complete(NPM_LOCK)


def main() -> int:
    try:
        _lock_python()
        _lock_npm()
    except subprocess.CalledProcessError as failed:
        return int(failed.returncode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
