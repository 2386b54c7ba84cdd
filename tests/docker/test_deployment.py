"""The deployment files, held against what can be known without a Docker engine."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from inference.settings import Settings as InferenceSettings

CHECKOUT = Path(__file__).resolve().parents[2]
DOCKER = CHECKOUT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
LISTS = {"web": DOCKER / "web-requirements.txt", "inference": DOCKER / "inference-requirements.txt"}
BIN = Path(sys.executable).parent
VALIDATE = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
# Debian keeps servers where an ordinary user's PATH does not look.
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def requirements(path: Path) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def pins(path: Path) -> dict[str, str]:
    return {canonicalize_name(one.name): str(one.specifier) for one in requirements(path)}


def closure(wanted: list[Requirement]) -> set[str]:
    """Return what pip would install for `wanted`, by the metadata of what is installed here."""
    waiting, found = [(one.name, one.extras) for one in wanted], set()
    while waiting:
        name, extras = waiting.pop()
        key = (canonicalize_name(name), frozenset(extras))
        if key in found:
            continue
        found.add(key)
        for text in importlib.metadata.requires(name) or []:
            needed = Requirement(text)
            environments = [{"extra": extra} for extra in extras or {""}]
            if needed.marker is None or any(needed.marker.evaluate(e) for e in environments):
                waiting.append((needed.name, needed.extras))
    return {name for name, _ in found}


@pytest.mark.parametrize("image", LISTS)
def test_an_images_packages_are_some_of_the_products_in_the_locked_versions(image: str) -> None:
    direct, lock = pins(CHECKOUT / "requirements.txt"), pins(CHECKOUT / "requirements.lock")

    for name, specifier in pins(LISTS[image]).items():
        assert name in direct
        assert specifier == "", "the version is the lock's to say"
    assert closure(requirements(LISTS[image])) <= lock.keys()


def test_the_web_image_has_no_torch_and_the_worker_no_django() -> None:
    assert not {"torch", "transformers"} & closure(requirements(LISTS["web"]))
    assert not {"django", "gunicorn"} & closure(requirements(LISTS["inference"]))


def test_both_images_together_hold_every_direct_requirement() -> None:
    direct = pins(CHECKOUT / "requirements.txt").keys()
    assert pins(LISTS["web"]).keys() | pins(LISTS["inference"]).keys() == direct


def imported(folder: str) -> set[str]:
    """Return the distributions that the code of a package imports."""
    distributions = importlib.metadata.packages_distributions()
    names = {
        match.group(1)
        for path in (CHECKOUT / folder).rglob("*.py")
        for match in re.finditer(r"^ *(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
    }
    return {canonicalize_name(one) for name in names for one in distributions.get(name, [])}


@pytest.mark.parametrize(
    ("image", "packages"),
    [("web", ["reader_study", "phantom"]), ("inference", ["inference"])],
)
def test_an_image_has_what_its_code_imports(image: str, packages: list[str]) -> None:
    # Training draws its cases with the phantom, on a machine with the whole checkout.
    outside = {"phantom", "reread"}
    needed = set().union(*(imported(package) for package in packages)) - outside

    assert needed <= closure(requirements(LISTS[image]))


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_the_dockerfiles_are_well_made(dockerfile: Path) -> None:
    found = subprocess.run([BIN / "hadolint", dockerfile], capture_output=True, text=True)

    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
def test_images_run_as_an_ordinary_user_and_copy_what_exists(dockerfile: Path) -> None:
    lines = dockerfile.read_text().splitlines()

    assert [line for line in lines if line.startswith("USER")][-1:] == ["USER 10001"]
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (CHECKOUT / source).exists(), source
                assert is_sent_to_docker(source), source


def is_sent_to_docker(source: str) -> bool:
    rules = (CHECKOUT / ".dockerignore").read_text().splitlines()
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    return any(Path(source).match(one) or Path(source).is_relative_to(one) for one in let_in)


def test_compose_files_follow_their_schema() -> None:
    files = sorted(DOCKER.glob("compose*.yaml"))
    command = [*VALIDATE, *map(str, files)]

    checked = subprocess.run(command, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout


def test_a_compose_file_with_an_unknown_key_would_be_noticed(tmp_path: Path) -> None:
    bad = tmp_path / "compose.yaml"
    bad.write_text("services:\n  web:\n    imagee: reread\n")
    command = [*VALIDATE, str(bad)]

    assert subprocess.run(command, capture_output=True).returncode != 0


def names_read(*modules: str) -> set[str]:
    """Return the names of environment variables that occur in the settings' code."""
    code = "".join((CHECKOUT / module).read_text() for module in modules)
    return set(re.findall(r"""["']([A-Z][A-Z_]+)["']""", code))


@pytest.mark.parametrize("service", ["prepare", "web", "site-worker"])
def test_every_variable_of_the_site_is_read_and_every_required_one_given(service: str) -> None:
    given = SERVICES[service]["environment"].keys()
    settings = (CHECKOUT / "reader_study" / "settings.py").read_text()
    required = set(re.findall(r'_(?:required|database)\(\s*"([A-Z_]+)",\s*"[^"]', settings))

    assert given <= names_read("reader_study/settings.py", "broker/__init__.py")
    assert required
    assert required <= given


def test_every_variable_of_the_worker_is_read() -> None:
    read = {name.upper() for name in InferenceSettings.model_fields} | names_read(
        "broker/__init__.py"
    )
    given = SERVICES["inference"]["environment"].keys()

    assert given <= read
    assert {"DICOMWEB_URL", "SERVICE_TOKEN", "BROKER_URL"} <= given


def test_every_variable_the_files_ask_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    shown = set(re.findall(r"^(?:# )?([A-Z_]+)=", (DOCKER / ".env.example").read_text(), re.M))

    assert asked == shown


def test_the_example_holds_no_secret_and_no_secret_has_a_default() -> None:
    example = (DOCKER / ".env.example").read_text()
    compose = (DOCKER / "compose.yaml").read_text()

    for name in ("SECRET_KEY", "SERVICE_TOKEN", "POSTGRES_PASSWORD", "SITE_DATABASE_PASSWORD"):
        assert re.search(rf"^{name}=$", example, re.MULTILINE)
        assert set(re.findall(rf"\$\{{{name}(\W+)", compose)) == {":?"}


def test_everything_is_checked_for_health_and_only_nginx_is_reachable_from_outside() -> None:
    in_image = {"web", "inference"}  # their Dockerfiles say HEALTHCHECK
    for name, service in SERVICES.items():
        assert name in in_image | {"orthanc"} or "healthcheck" in service, name
        assert ("ports" in service) == (name == "nginx")
        assert name == "nginx" or service["networks"] == ["inside"]
    for path in DOCKERFILES:
        assert "HEALTHCHECK" in path.read_text()
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_what_services_wait_for_exists_and_has_the_health_they_wait_for() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            assert name in SERVICES
            assert wait["condition"] in {"service_healthy", "service_completed_successfully"}


def test_volumes_are_declared_and_used() -> None:
    def used() -> Iterator[str]:
        for service in SERVICES.values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    assert (DOCKER / source).is_file()
                else:
                    yield source

    assert set(used()) == COMPOSE["volumes"].keys()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx)")
def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    # The paths of the container lie elsewhere here; nothing else is changed.
    text = (DOCKER / "nginx.conf").read_text().replace("/tmp/", f"{tmp_path}/")
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(text.replace("/dev/stdout", "/dev/null"))

    tested = subprocess.run([str(NGINX), "-t", "-c", configuration], capture_output=True, text=True)

    assert tested.returncode == 0, tested.stderr
