"""The Kubernetes manifests, held against what can be known without a cluster."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
KUBERNETES = CHECKOUT / "kubernetes"
KUBECTL = shutil.which("kubectl")
FILES = [
    path for path in sorted(KUBERNETES.glob("base/*.yaml")) if path.name != "kustomization.yaml"
]
BASE: list[dict[str, Any]] = [one for path in FILES for one in yaml.safe_load_all(path.read_text())]
PODS = {
    one["metadata"]["name"]: one["spec"]["template"]
    for one in BASE
    if one["kind"] in {"Deployment", "Job"}
}
CONTAINERS = [
    pytest.param(template["spec"], container, id=f"{name}-{container['name']}")
    for name, template in PODS.items()
    for container in (*template["spec"].get("initContainers", ()), *template["spec"]["containers"])
]


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in BASE if one["kind"] == kind}


def matches(selector: dict[str, Any], template: dict[str, Any]) -> bool:
    wanted = selector.get("matchLabels", {})
    return bool(wanted.items() <= template["metadata"]["labels"].items())


def validated(*files: Path) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).parent / "kubernetes-validate")
    command = [program, "--strict", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_manifests_follow_the_schemas_of_kubernetes_and_a_wrong_one_would_be_noticed(tmp_path):
    checked = validated(*FILES, *KUBERNETES.glob("example/[is]*.yaml"))
    assert checked.returncode == 0, checked.stderr
    # There are no schemas of KEDA's own kinds among them: those are looked at below.
    unknown = set(re.findall(r"schema for kind (\w+)", checked.stdout + checked.stderr))
    assert unknown == {"ScaledObject", "TriggerAuthentication"}

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        next(p for p in FILES if p.name == "web.yaml").read_text().replace("envFrom", "envfrom")
    )
    assert validated(wrong).returncode != 0


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_the_example_is_the_base_with_its_own_settings(tmp_path):
    made = subprocess.run(
        [str(KUBECTL), "kustomize", str(KUBERNETES / "example")], capture_output=True, text=True
    )
    if "unknown field" in made.stderr:
        pytest.skip("this kubectl is older than the fields of kustomize in use")
    assert made.returncode == 0, made.stderr
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(made.stdout)
    assert validated(rendered).returncode == 0

    objects = list(yaml.safe_load_all(made.stdout))
    assert len(objects) == len(BASE) + 1  # the ingress
    (settings,) = (
        one["data"]
        for one in objects
        if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "settings"
    )
    assert "reread.hospital.example" in settings["ALLOWED_HOSTS"]
    assert settings["LOG_FORMAT"] == "json"
    images = re.findall(r"image: (\S+)", made.stdout)
    assert all(":" in image and not image.endswith(":latest") for image in images)


@pytest.mark.parametrize(("pod", "container"), CONTAINERS)
def test_every_container_is_confined_and_bounded(pod, container):
    security = {**pod["securityContext"], **container["securityContext"]}
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    # What it writes has a place, and every mount a volume.
    assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_what_runs_for_long_is_probed():
    for name, deployment in of("Deployment").items():
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            assert "livenessProbe" in container, name
            assert ("readinessProbe" in container) == ("ports" in container), name


def test_every_variable_is_read_and_every_required_one_given():
    site = (CHECKOUT / "reader_study/settings.py").read_text()
    site += (CHECKOUT / "broker/__init__.py").read_text() + (
        CHECKOUT / "reader_study/server.py"
    ).read_text()
    read = set(re.findall(r"""["']([A-Z][A-Z_]+)["']""", site)) | {"MPLCONFIGDIR"}
    worker = (CHECKOUT / "inference/settings.py").read_text()
    read_by_worker = {w.upper() for w in re.findall(r"^    ([a-z_]+): ", worker, re.M)}
    maps = {name: set(one["data"]) for name, one in of("ConfigMap").items()}
    said = (KUBERNETES / "base/settings.yaml").read_text().partition("apiVersion")[0]
    secret = set(re.findall(r"[A-Z]+_[A-Z_]+", said)) - {"OWNER_DATABASE_URL"}

    assert maps["settings"] <= read
    assert maps["inference"] <= read_by_worker
    assert secret - {"BROKER_ADDRESS", "BROKER_PASSWORD"} <= read
    required = set(re.findall(r'_(?:required|database)\(\s*"([A-Z_]+)",\s*"[^"]', site))
    assert required - {"OIDC_CLIENT_ID"} <= secret
    for name, template in PODS.items():
        for container in template["spec"]["containers"]:
            sources = container.get("envFrom", [])
            for source in sources:
                assert source.get("configMapRef", {"name": "settings"})["name"] in maps, name
                assert source.get("secretRef", {"name": "reread"})["name"] == "reread", name
            for one in container.get("env", []):
                key = one.get("valueFrom", {}).get("secretKeyRef")
                assert key is None or key["key"] in secret | {"OWNER_DATABASE_URL"}, name
    assert not of("Secret")  # none is in a file


def test_only_the_migration_is_the_owner_of_the_database_and_inference_knows_none():
    text = {name: yaml.safe_dump(template) for name, template in PODS.items()}
    assert {name for name in text if "reread-owner" in text[name]} == {"migrate"}
    assert "DATABASE" not in text["inference"]
    assert "secretRef" not in text["inference"]


def test_selectors_find_what_they_mean_and_nothing_is_open_to_everybody():
    templates = PODS.values()
    for kind in ("Deployment", "PodDisruptionBudget", "NetworkPolicy"):
        for name, one in of(kind).items():
            selector = one["spec"].get("podSelector") or one["spec"].get("selector") or {}
            assert any(matches(selector, template) for template in templates), name
    (service,) = of("Service").values()
    ports = {port["name"] for c in PODS["web"]["spec"]["containers"] for port in c.get("ports", [])}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports

    policies = of("NetworkPolicy")
    assert policies["nothing"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    incoming = [one for one in policies.values() if "ingress" in one["spec"]]
    assert [one["metadata"]["name"] for one in incoming] == ["web"]
    assert all(rule["from"] for rule in incoming[0]["spec"]["ingress"])
    for template in templates:  # everybody can reach something
        egress = [p for p in policies.values() if "egress" in p["spec"]]
        assert sum(matches(p["spec"]["podSelector"], template) for p in egress) >= 2


def test_inference_is_scaled_by_its_queue_and_the_timetable_is_kept_once():
    (scaled,) = of("ScaledObject").values()
    deployments = of("Deployment")
    target = deployments[scaled["spec"]["scaleTargetRef"]["name"]]
    (trigger,) = scaled["spec"]["triggers"]
    (container,) = target["spec"]["template"]["spec"]["containers"]

    from broker import HARD_LIMIT_S, INFERENCE_QUEUE

    assert trigger["metadata"]["listName"] == INFERENCE_QUEUE
    assert trigger["authenticationRef"]["name"] in of("TriggerAuthentication")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "replicas" not in target["spec"]  # else each apply would undo the scaling
    # What is being predicted has the time to end.
    assert scaled["spec"]["cooldownPeriod"] > HARD_LIMIT_S
    assert target["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > HARD_LIMIT_S
    timetable = deployments["timetable"]["spec"]
    assert (timetable["replicas"], timetable["strategy"]) == (1, {"type": "Recreate"})
    assert "--beat" not in str(deployments["site-worker"])


def test_the_nginx_of_a_pod_is_that_of_compose_with_the_site_beside_it(tmp_path):
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed (apt-get install nginx)")
    (initial,) = PODS["web"]["spec"]["initContainers"]
    script = initial["command"][2].partition("&& sed")[2]
    target = tmp_path / "nginx.conf"
    script = "sed" + script.replace("/data/static/nginx.conf", str(target))
    environment = {"POD_NETWORK": "10.0.0.0/8", "PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-c", script], cwd=CHECKOUT, env=environment, check=True)
    text = target.read_text()
    assert "set $site http://127.0.0.1:8000;" in text
    assert "set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;" in text
    assert "resolver" not in re.sub("#.*", "", text)

    target.write_text(text.replace("/tmp/", f"{tmp_path}/").replace("/dev/stdout", "/dev/null"))
    tested = subprocess.run([nginx, "-t", "-c", target], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr
