"""What `make check` asks of what we use and publish: `python -m launcher.audit WHAT`.

- `secrets`: no file of the repository holds one (detect-secrets, against `.secrets.baseline`);
- `licences`: no package that is part of the product is under the GPL, the AGPL or unknown terms;
- `vulnerabilities`: no locked package has a known one (pip-audit, npm audit). Where nobody answers,
  that is said on a line that begins with `NOT`, and nothing passes in silence: with REQUIRE_AUDIT=1
  it fails.
"""

import argparse
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).resolve().parent.parent
BASELINE = CHECKOUT / ".secrets.baseline"
LOCKS = ("requirements.lock", "requirements-dev.lock")
NPM_LOCK = CHECKOUT / "frontend" / "package-lock.json"
# Hashes and drawings, in which every line looks like a secret.
NOT_TEXT = (".lock", "package-lock.json", ".png", ".svg", ".npz", ".dcm", ".secrets.baseline")

FREE = re.compile(
    r"\b(?:MIT|BSD|Apache|ISC|MPL|Mozilla Public|PSF|Python Software Foundation|Zlib|ZPL|Zope|"
    r"Unlicense|CC0|0BSD|BlueOak|Python-2\.0|HPND|MIT-CMU|CNRI|Public Domain|CC-BY-4\.0|LGPL|"
    r"Lesser General Public|Boost|BSL-1\.0|PostgreSQL|WTFPL|OFL|Artistic)",
    re.IGNORECASE,
)
NOT_FREE_HERE = re.compile(r"(?<!L)\bA?GPL|(?<!Lesser )General Public License|SSPL|\bNC\b", re.I)
# What says its terms where no program finds them, or nowhere but in its files: read by people.
READ: Mapping[str, str] = {
    "pylidc": "MIT, in its LICENSE",
    "pylibjpeg-openjpeg": "MIT, and OpenJPEG's BSD-2, in its LICENSE",
    "python-gdcm": "BSD, GDCM's own",
    "rechoir": "MIT, in its package.json",
}


class Package(NamedTuple):
    """One locked package, and what it says its terms are."""

    name: str
    terms: str


def found_secrets(files: Iterable[str], folder: Path = CHECKOUT) -> set[tuple[str, str, str]]:
    """Return what looks like a secret: file, kind, and its hash."""
    from detect_secrets.core.secrets_collection import SecretsCollection
    from detect_secrets.settings import default_settings

    with default_settings():
        secrets = SecretsCollection(root=str(folder))
        for name in files:
            if not name.endswith(NOT_TEXT) and (folder / name).is_file():
                secrets.scan_file(name)
        return {(name, one.type, one.secret_hash) for name, one in secrets}


def known_secrets() -> set[tuple[str, str, str]]:
    """Return what people have looked at and found to be none."""
    kept = json.loads(BASELINE.read_text())["results"]
    return {(name, one["type"], one["hashed_secret"]) for name in kept for one in kept[name]}


def secrets(*, note: bool = False) -> int:
    """Look for secrets; with `note`, take all that is found now for none."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    found = found_secrets(listed)
    if note:
        results: dict[str, list[dict[str, str]]] = {}
        for name, kind, digest in sorted(found):
            results.setdefault(name, []).append({"type": kind, "hashed_secret": digest})
        BASELINE.write_text(json.dumps({"results": results}, indent=1) + "\n")
        return 0
    new = sorted(found - known_secrets())
    for name, kind, _ in new:
        print(f"{name}: looks like a secret ({kind})")
    if new:
        print("Take it out; what is none is noted by `python -m launcher.audit secrets --note`.")
    return int(bool(new))


def python_packages(lock: Path) -> list[Package]:
    """Return the packages of a lock file with their terms, as they are installed."""
    found = []
    for line in lock.read_text().splitlines():
        name, _, version = line.partition("==")
        if not version:
            continue
        try:
            said: Any = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            found.append(Package(name, ""))
            continue
        classifiers = [c for c in said.get_all("Classifier") or [] if c.startswith("License ::")]
        # Some put the whole text there: its first line says which it is.
        text = (said.get("License") or "").strip().splitlines()[:1]
        terms = [said.get("License-Expression") or "", *classifiers, *text]
        found.append(Package(name, "; ".join(filter(None, terms))))
    return found


def npm_packages(lock: Mapping[str, Any]) -> list[Package]:
    """Return the packages that are part of the built front end, with their terms."""
    return [
        Package(path.rpartition("node_modules/")[2], str(one.get("license") or ""))
        for path, one in lock["packages"].items()
        if path and not one.get("dev") and not one.get("optional")
    ]


def unfit(packages: Iterable[Package]) -> list[Package]:
    """Return the packages whose terms do not fit a product under Apache-2.0, or are not known."""
    return [
        one
        for one in packages
        if one.name not in READ and (NOT_FREE_HERE.search(one.terms) or not FREE.search(one.terms))
    ]


def licences() -> int:
    """Look at the terms of everything that is part of the product."""
    found = python_packages(CHECKOUT / "requirements.lock")
    found += npm_packages(json.loads(NPM_LOCK.read_text()))
    bad = unfit(found)
    for name, terms in bad:
        print(f"{name}: {terms or 'does not say its terms'}")
    print(f"{len(found)} packages, {len(bad)} under terms that do not fit or are not known")
    return int(bool(bad))


def vulnerabilities() -> int:
    """Ask for known vulnerabilities of what is locked."""
    known, unasked = _of_python()
    more, also = _of_npm()
    for one in (*known, *more):
        print(one)
    for one in (*unasked, *also):
        print(f"NOT audited: {one}")
    required = os.environ.get("REQUIRE_AUDIT", "") not in {"", "0"}
    return int(bool(known or more) or (required and bool(unasked or also)))


def _of_python() -> tuple[list[str], list[str]]:
    known, unasked = [], []
    for lock in LOCKS:
        command = ["-m", "pip_audit", "--requirement", str(CHECKOUT / lock), "--no-deps",
                   "--disable-pip", "--format", "json", "--progress-spinner", "off",
                   "--timeout", "15"]  # fmt: skip
        done = _run([sys.executable, *command])
        try:
            packages = json.loads(done)["dependencies"]
        except (ValueError, KeyError):
            unasked.append(f"{lock}: pip-audit got no answer")
            continue
        skipped = [one["name"] for one in packages if "skip_reason" in one]
        if skipped:
            unasked.append(f"{len(skipped)} of {len(packages)} packages of {lock}: "
                           "the package index says nothing of vulnerabilities")  # fmt: skip
        known += [
            f"{one['name']} {one['version']}: {each['id']}, mended in {each['fix_versions']}"
            for one in packages
            for each in one.get("vulns", ())
        ]
    return known, unasked


def _of_npm() -> tuple[list[str], list[str]]:
    said = _run(["npm", "audit", "--json", "--prefix", str(NPM_LOCK.parent)])
    try:
        answer = json.loads(said)
    except ValueError:
        return [], ["package-lock.json: npm audit got no answer"]
    if "vulnerabilities" not in answer:
        return [], ["package-lock.json: the registry does not answer npm audit"]
    of = answer["vulnerabilities"].values()
    return [f"{one['name']}: {one['severity']} vulnerability" for one in of], []


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(
            command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def main() -> int:
    """Do one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["secrets", "licences", "vulnerabilities"])
    parser.add_argument("--note", action="store_true", help="take all that is found for none")
    options = parser.parse_args()
    if options.what == "secrets":
        return secrets(note=options.note)
    return licences() if options.what == "licences" else vulnerabilities()


if __name__ == "__main__":
    sys.exit(main())
