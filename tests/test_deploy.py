"""What is shipped to deploy with fits the gateway: settings load, ports and paths answer, names agree."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gateway.api.routes import ROUTES
from gateway.app import parts
from gateway.config import load
from gateway.config.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("base", "gateway-api", "istio")
HERE = {"app.kubernetes.io/name": "gateway"}


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in YAML(typ="safe", pure=True).load_all(path.read_text()) if document is not None]


def kustomized(folder: str) -> dict[str, Any]:
    (found,) = documents(KUBERNETES / folder / "kustomization.yaml")
    return found


def resources() -> Iterator[dict[str, Any]]:
    for name in kustomized("base")["resources"]:
        yield from documents(KUBERNETES / "base" / name)


def resource(kind: str) -> dict[str, Any]:
    (found,) = (one for one in resources() if one["kind"] == kind)
    return found


def pod() -> dict[str, Any]:
    found: dict[str, Any] = resource("Deployment")["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    assert isinstance(found, dict)
    return found


def of_the_image() -> dict[str, str]:
    """Return the environment that the Dockerfile sets."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return dict(
        word.split("=", 1) for line in re.findall(r"^ENV (.*)$", text, re.MULTILINE) for word in shlex.split(line)
    )


def settings(path: Path, more: dict[str, str] | None = None) -> Settings:
    """Return the settings of a file as a container of the image reads it. Raise ConfigError."""
    environ = {name: value for name, value in (of_the_image() | (more or {})).items() if name.startswith("GATEWAY_")}
    return load(path, environ)


def in_a_pod(folder: str, tmp_path: Path) -> Settings:
    """Return the settings of a pod, laid out as its volumes are mounted."""
    shutil.copy(KUBERNETES / folder / "gateway.toml", tmp_path)
    mounted = tmp_path / "policies"
    # As a ConfigMap is mounted: links to a hidden link to a hidden folder, which is swapped as a whole.
    shutil.copytree(KUBERNETES / "base" / "policies", mounted / "..2026_01_01_00_00_00.1")
    (mounted / "..data").symlink_to("..2026_01_01_00_00_00.1")
    for file in (mounted / "..data").iterdir():
        (mounted / file.name).symlink_to(f"..data/{file.name}")
    return settings(tmp_path / "gateway.toml", {one["name"]: one["value"] for one in container()["env"]})


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_every_manifest_can_be_read_and_is_not_empty(path: Path) -> None:
    assert documents(path)


@pytest.mark.parametrize("folder", OVERLAYS)
def test_a_pods_configuration_loads_with_its_policies(folder: str, tmp_path: Path) -> None:
    found = in_a_pod(folder, tmp_path)

    assert parts.reader_of(found)
    assert "house" in {policy.name for policy in parts.bundle_of(found).policies}
    assert (found.upstream is None) is (found.forward_auth is not None)


def test_the_configuration_of_compose_loads_and_names_the_proxy_beside_it() -> None:
    (compose,) = documents(DEPLOY / "compose.yaml")
    found = settings(DEPLOY / "compose" / "gateway.toml")

    assert parts.bundle_of(found).policies
    assert found.forward_auth is not None
    proxy = compose["services"]["nginx"]["networks"]["behind"]["ipv4_address"]
    assert [str(one) for one in found.forward_auth.asked_by] in ([proxy], [f"{proxy}/32"])
    for service in compose["services"].values():
        assert set(service.get("secrets", ())) <= set(compose["secrets"])
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists(), source
            assert source.startswith(".") or source in compose["volumes"]


def test_the_gateways_of_compose_share_a_store_and_no_journal() -> None:
    (compose,) = documents(DEPLOY / "compose.yaml")
    gateways = {name: one for name, one in compose["services"].items() if one.get("image") == "gateway:latest"}
    environment = compose["services"]["db"]["environment"]

    assert len(gateways) == 2
    assert len({volume for one in gateways.values() for volume in one["volumes"] if not volume.startswith(".")}) == 2
    assert all(one["networks"]["behind"]["aliases"] == ["gateway"] for one in gateways.values())
    user, database = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
    for one in gateways.values():
        given = one["environment"]
        assert given["GATEWAY_STORE__PASSWORD_FILE"] == environment["POSTGRES_PASSWORD_FILE"]
        found = settings(DEPLOY / "compose" / "gateway.toml", {"GATEWAY_STORE__URL": given["GATEWAY_STORE__URL"]})
        assert found.store.url == f"postgresql://{user}@db/{database}?sslmode=disable"


def test_the_gateways_of_compose_share_a_cache(tmp_path: Path) -> None:
    (compose,) = documents(DEPLOY / "compose.yaml")
    key = tmp_path / "cache-key"
    key.write_text("k" * 64)
    for name in ("gateway-1", "gateway-2"):
        given = {text: value for text, value in compose["services"][name]["environment"].items() if "REDIS" in text}
        assert given.pop("GATEWAY_STORE__REDIS__CACHE_KEY_FILE") == "/run/secrets/cache-key"
        given["GATEWAY_STORE__REDIS__CACHE_KEY_FILE"] = str(key)
        redis = settings(DEPLOY / "compose" / "gateway.toml", given).store.redis
        assert redis is not None
        assert redis.address.hosts == (("cache", 6379),)
        assert redis.cache_key_file == key


def test_compose_changes_each_address_of_the_shipped_file() -> None:
    (compose,) = documents(DEPLOY / "compose.yaml")
    text = (DEPLOY / "nginx" / "gateway.conf").read_text()
    changed = dict(re.findall(r"-e s/([^/]+)/([^/]+)/", compose["services"]["nginx"]["command"][-1]))

    assert set(changed) == set(re.findall(r"127\.0\.0\.1:\d+", text))
    assert changed["127.0.0.1:8080"] == f"gateway:{settings(DEPLOY / 'compose' / 'gateway.toml').server.port}"


@pytest.mark.parametrize("folder", OVERLAYS)
def test_the_ports_of_a_pod_are_those_that_it_listens_on(folder: str, tmp_path: Path) -> None:
    found = in_a_pod(folder, tmp_path)
    listened = {"http": found.server.port, "grpc": found.forward_auth and found.forward_auth.grpc_port}
    ports = {one["name"]: one["containerPort"] for one in container()["ports"]}
    served = [*resource("Service")["spec"]["ports"]]
    opened = [port["port"] for rule in resource("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]]
    if folder != "base":
        (patch,) = documents(KUBERNETES / folder / "deployment.yaml")
        ports |= {
            one["name"]: one["containerPort"] for one in patch["spec"]["template"]["spec"]["containers"][0]["ports"]
        }
        served += documents(KUBERNETES / folder / "service.yaml")[0]["spec"]["ports"]
        (policy,) = documents(KUBERNETES / folder / "network-policy.yaml")
        opened = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
        assert {one["name"] for one in served} == {"http", "grpc"}
        assert opened == [ports["grpc"]]
    else:
        assert opened == [ports["http"]]

    assert all(listened[name] == port for name, port in ports.items())
    assert {one["targetPort"] for one in served} == set(ports)
    assert found.server.host == "0.0.0.0"


def test_a_probe_asks_what_the_admin_listener_answers(tmp_path: Path) -> None:
    found = in_a_pod("base", tmp_path)
    answered = {route.path for route in ROUTES if route.scope is None}
    asked = {}
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        program, _, line = container()[name]["exec"]["command"]
        assert program == "python"
        compile(line, name, "exec")
        url = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", line)
        assert url is not None
        asked[name] = url[2]
        assert (found.admin.host, found.admin.port) == ("127.0.0.1", int(url[1]))
        assert asked[name] in answered

    assert asked == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


def test_a_pod_may_do_no_more_than_it_needs() -> None:
    context, above = container()["securityContext"], pod()["securityContext"]
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert context == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert user is not None
    assert (above["runAsNonRoot"], above["runAsUser"], above["runAsGroup"]) == (True, int(user[1]), int(user[2]))
    assert (pod()["automountServiceAccountToken"], pod()["enableServiceLinks"]) == (False, False)


def test_what_a_pod_writes_is_mounted_and_nothing_else_has_to_be() -> None:
    mounts = {one["mountPath"]: one["name"] for one in container()["volumeMounts"]}
    volumes = {one["name"] for one in pod()["volumes"]}
    image = of_the_image()

    assert set(mounts.values()) == volumes
    assert image["GATEWAY_CONFIG"] in mounts
    for name in ("GATEWAY_STORE__URL", "GATEWAY_JOURNAL__DIRECTORY"):
        assert image[name].removeprefix("sqlite:///").startswith("/var/lib/gateway/")
    assert mounts["/var/lib/gateway"] == "state"


def test_pods_that_share_a_store_are_on_one_node_and_replaced_one_by_one() -> None:
    deployment, claim = resource("Deployment")["spec"], resource("PersistentVolumeClaim")
    (together,) = pod()["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    scaler, budget = resource("HorizontalPodAutoscaler")["spec"], resource("PodDisruptionBudget")["spec"]

    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert together == {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": HERE}}
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert budget["minAvailable"] < scaler["minReplicas"] <= deployment["replicas"] <= scaler["maxReplicas"]
    assert deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"] == HERE
    for selected in (budget["selector"]["matchLabels"], resource("Service")["spec"]["selector"]):
        assert selected == HERE
    assert resource("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == HERE


def test_a_pod_that_ends_has_time_to_be_forgotten_and_to_finish() -> None:
    (drain,) = [one["value"] for one in container()["env"] if one["name"] == "GATEWAY_SERVER__DRAIN"]
    waits = int(drain.removesuffix("s"))
    ends = int(re.search(r"TimeoutStopSec=(\d+)", (DEPLOY / "systemd" / "gateway.service").read_text())[1])  # type: ignore[index]

    assert pod()["terminationGracePeriodSeconds"] >= waits + ends


@pytest.mark.parametrize("folder", OVERLAYS)
def test_every_file_that_kustomize_reads_is_there_and_every_map_is_mounted(folder: str) -> None:
    found = kustomized(folder)
    for name in found["resources"]:
        assert (KUBERNETES / folder / name).exists(), name
    for patch in found.get("patches", ()):
        assert documents(KUBERNETES / folder / patch["path"])
    maps = {one["configMap"]["name"] for one in pod()["volumes"] if "configMap" in one}
    for generated in found["configMapGenerator"]:
        assert generated["name"] in maps
        for file in generated["files"]:
            assert (KUBERNETES / folder / file).exists(), file


def test_whoever_asks_over_grpc_asks_the_service_and_never_fails_open(tmp_path: Path) -> None:
    asked = in_a_pod("istio", tmp_path).forward_auth
    assert asked is not None
    (route,) = documents(KUBERNETES / "gateway-api" / "http-route.yaml")
    (filtered,) = route["spec"]["rules"][0]["filters"]
    assert filtered["externalAuth"] == {
        "protocol": "GRPC",
        "backendRef": {"name": resource("Service")["metadata"]["name"], "port": asked.grpc_port},
    }
    (mesh,) = documents(KUBERNETES / "istio" / "mesh-config.yaml")
    (provider,) = mesh["spec"]["meshConfig"]["extensionProviders"]
    (policy,) = documents(KUBERNETES / "istio" / "authorization-policy.yaml")
    assert policy["spec"]["provider"]["name"] == provider["name"]
    assert provider["envoyExtAuthzGrpc"] == {
        "service": "gateway.gateway.svc.cluster.local",
        "port": asked.grpc_port,
        "timeout": "5s",
        "failOpen": False,
        "statusOnError": "503",
    }


def unit() -> list[tuple[str, str]]:
    text = (DEPLOY / "systemd" / "gateway.service").read_text()
    return [(name, value) for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)]


def test_the_unit_starts_the_gateway_by_settings_that_load() -> None:
    environ = dict(value.split("=", 1) for name, value in unit() if name == "Environment")
    found = load(
        DEPLOY / "gateway.example.toml",
        {name: value for name, value in environ.items() if name.startswith("GATEWAY_")},
    )

    assert dict(unit())["ExecStart"].endswith("/bin/gateway serve")
    assert found.journal.directory.is_relative_to("/var/lib/" + dict(unit())["StateDirectory"])
    assert dict(unit())["ConfigurationDirectory"] in Path(environ["GATEWAY_CONFIG"]).parts


def test_systemd_reads_the_unit_and_finds_little_exposed(tmp_path: Path, systemd_analyze: str) -> None:
    text = (DEPLOY / "systemd" / "gateway.service").read_text()
    (tmp_path / "gateway.service").write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text))

    verified = subprocess.run(
        [systemd_analyze, "verify", "--man=no", "--recursive-errors=no", tmp_path / "gateway.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    judged = subprocess.run(
        [systemd_analyze, "security", "--offline=true", "--threshold=20", tmp_path / "gateway.service"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "gateway.service" not in verified.stderr, verified.stderr
    assert judged.returncode == 0, judged.stdout[-2000:]


def test_the_image_is_built_by_the_book() -> None:
    linted = subprocess.run(
        [Path(sys.executable).parent / "hadolint", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (linted.returncode, linted.stdout) == (0, "")


def test_what_the_image_is_built_from_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert copied
    assert "*" in ignored
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name


def test_the_image_holds_what_the_manifests_ask_for() -> None:
    text = (ROOT / "requirements" / "image.txt").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert "requirements/image.txt" in (ROOT / "Dockerfile").read_text()
    for wanted in (*extras["grpc"], *extras["otel"]):
        assert re.search(rf"^{re.split('[>=]', wanted)[0]}==", text, re.MULTILINE), wanted


def names_in(pattern: str) -> set[str]:
    """Return what the code says where the pattern's group stands."""
    return {found for path in (ROOT / "gateway").rglob("*.py") for found in re.findall(pattern, path.read_text())}


@pytest.mark.parametrize("path", ["docs/operations.md", "deploy/prometheus/gateway.rules.yaml"])
def test_every_metric_that_is_watched_is_one_that_there_is(path: str) -> None:
    watched = set(re.findall(r"\bgateway_[a-z_]+", (ROOT / path).read_text()))

    assert {name.removesuffix("_total") for name in watched} - names_in(r'"(gateway_[a-z_]+)"') == set()
    assert len(watched) > 5


def test_every_alert_is_said_on_the_page_and_counts_are_asked_as_counts() -> None:
    (rules,) = documents(DEPLOY / "prometheus" / "gateway.rules.yaml")
    page = (ROOT / "docs" / "operations.md").read_text()
    counted = "".join(path.read_text() for path in (ROOT / "gateway" / "adapters").rglob("*metrics.py"))
    for rule in rules["groups"][0]["rules"]:
        (metric,) = set(re.findall(r"\bgateway_[a-z_]+", rule["expr"]))
        assert f"`{metric}`" in page, metric
        assert rule["labels"]["severity"] in {"page", "ticket"}
        gauge = re.search(rf'GaugeMetricFamily\(\s*"{metric}"', counted) is not None
        assert gauge is not metric.endswith("_total"), metric
        assert gauge is not rule["expr"].startswith("increase("), metric


def test_every_event_that_needs_somebody_is_one_that_is_logged() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"`([a-z_]+:[a-z_]+)`", page))

    assert named - names_in(r'"([a-z_]+:[a-z_]+)"') == set()
    assert len(named) > 5
