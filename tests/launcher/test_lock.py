"""Locks that are the same on every machine."""

import json

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from launcher.lock import CHECKOUT, HEADS, NPM_LOCK, frozen, left_out


def pins(name: str) -> dict[str, str]:
    lines = (line.partition("#")[0] for line in (CHECKOUT / name).read_text().splitlines())
    wanted = [Requirement(line) for line in lines if line.strip()]
    return {canonicalize_name(one.name): str(one.specifier) for one in wanted}


def test_a_lock_names_no_build_for_one_kind_of_machine() -> None:
    listing = (
        "torch==2.13.0+cpu\nnvidia-cublas==13\ntriton==3.5\nPyYAML==6.0.3\n-e git+x\npip==26.3"
    )

    assert frozen(listing) == ["pyyaml==6.0.3", "torch==2.13.0"]


def test_the_python_locks_hold_the_direct_requirements_in_their_versions() -> None:
    locked: dict[str, str] = {}
    for name in HEADS:
        locked.update(pins(f"{name}.lock"))
        assert pins(f"{name}.txt").items() <= locked.items()


def test_no_lock_holds_a_local_version() -> None:
    assert not [one for name in HEADS for one in pins(f"{name}.lock").values() if "+" in one]


def test_the_npm_lock_has_the_builds_for_every_machine() -> None:
    # Otherwise `npm ci` refuses it: `make lock` puts them in.
    assert left_out(json.loads(NPM_LOCK.read_text())["packages"]) == {}


def test_a_build_that_the_registry_lacks_is_locked_by_name_and_machine() -> None:
    packages = {
        "node_modules/tool": {
            "dev": True,
            "optionalDependencies": {"@tool/linux-x64": "1.0", "@tool/linux-arm64-musl": "1.0"},
        },
        "node_modules/@tool/linux-x64": {"version": "1.0", "optional": True},
    }

    assert left_out(packages) == {
        "node_modules/@tool/linux-arm64-musl": {
            "version": "1.0",
            "cpu": ["arm64"],
            "dev": True,
            "libc": ["musl"],
            "optional": True,
            "os": ["linux"],
        }
    }
