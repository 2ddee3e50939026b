"""docker-compose.yml and what it mounts, as far as they can be judged without a Docker engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.settings import Settings
from broker.telemetry import METRICS

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("gate", "control", "console")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$")


def strings(node: object) -> list[str]:
    if isinstance(node, dict):
        return [text for value in node.values() for text in strings(value)]
    if isinstance(node, list):
        return [text for value in node for text in strings(value)]
    return [str(node)]


def test_the_parts_are_there_and_the_profiles_keep_metrics_optional() -> None:
    assert {"kafka", "postgres", "prepare", *OURS, "prometheus", "grafana"} == set(SERVICES)
    optional = {name for name, service in SERVICES.items() if service.get("profiles")}
    assert optional == {"prometheus", "grafana"}
    for name in set(SERVICES) - optional:
        assert not set(SERVICES[name].get("depends_on", {})) & optional


@pytest.mark.parametrize("name", SERVICES)
def test_every_part_has_a_health_check_and_waits_for_healthy_ones(name: str) -> None:
    service = SERVICES[name]
    if name != "prepare":  # it ends
        assert service["healthcheck"]["test"][0] == "CMD"
        assert {"interval", "timeout", "retries"} <= set(service["healthcheck"])
    for part, needed in service.get("depends_on", {}).items():
        condition = "service_completed_successfully" if part == "prepare" else "service_healthy"
        assert needed == {"condition": condition}


def test_kafka_is_prepared_before_anybody_uses_it() -> None:
    assert SERVICES["prepare"]["command"] == ["prepare"]
    assert SERVICES["prepare"]["restart"] == "no"
    assert all("prepare" in SERVICES[name]["depends_on"] for name in OURS)


def test_only_prepare_gets_the_passwords_of_admin_and_systems() -> None:
    for name in OURS:
        assert SERVICES[name]["secrets"] == ["broker-credentials"]
        assert SERVICES[name]["environment"]["SOLESOURCE_CREDENTIALS_FILE"].endswith("/broker-credentials")
    assert SERVICES["prepare"]["secrets"] == ["kafka-credentials"]
    assert SERVICES["prepare"]["environment"]["SOLESOURCE_CREDENTIALS_FILE"].endswith("/kafka-credentials")


@pytest.mark.parametrize(
    ("name", "asked"),
    [("gate", "9465/metrics"), ("control", "9464/healthz"), ("console", "8080/healthz")],
)
def test_health_is_asked_where_it_is_served(name: str, asked: str) -> None:
    assert f"http://127.0.0.1:{asked}'" in SERVICES[name]["healthcheck"]["test"][-1]
    settings = Settings.model_fields[f"{name}_port"]
    assert asked.startswith(f"{settings.default}/")


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_bound_to_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_runs_as_root_or_gains_rights(name: str) -> None:
    service = SERVICES[name]
    assert str(service["user"]).split(":")[0] not in {"", "0", "root"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert not any("docker.sock" in text for text in strings(service.get("volumes", [])))


def test_no_password_has_a_default() -> None:
    asked = set()
    for text in strings(COMPOSE):
        for name, operator in re.findall(r"\$\{(\w+)(:?[-?+]?)", text):
            if SECRET_NAME.search(name):
                assert operator == ":?", f"{name} may be missing or has a default"
                asked.add(name)
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if SECRET_NAME.search(name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", str(value)), name
    assert len(asked) == 5


def test_images_are_pinned() -> None:
    for service in SERVICES.values():
        assert re.search(r":v?\d", service["image"])
        assert not service["image"].endswith(":latest")


def test_what_is_mounted_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
            elif not source.startswith("$"):
                assert source in COMPOSE["volumes"]


def test_the_image_is_built_from_hashes_and_runs_as_somebody() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert "--require-hashes -r requirements/base.txt" in text
    assert "--no-deps --no-build-isolation" in text
    last_user = re.findall(r"^USER (.+)$", text, re.MULTILINE)[-1]
    assert last_user == "10001:10001" == SERVICES["gate"]["user"]
    assert text.rindex("USER ") > text.rindex("RUN ")


def test_the_build_is_given_everything_that_it_copies_and_nothing_else() -> None:
    copied = set()
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        *sources, _ = line.split()
        copied |= set(sources)
    let_in = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)


def test_prometheus_reads_the_ports_that_the_parts_serve() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())
    targets = [one for job in config["scrape_configs"] for one in strings(job["static_configs"])]
    for target in targets:
        name, port = target.split(":")
        assert f"127.0.0.1:{port}:{port}" in SERVICES[name]["ports"]


def test_the_dashboard_shows_metrics_that_exist() -> None:
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    board = json.loads((ROOT / "deploy/grafana/dashboards/solesource.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == source["datasources"][0]["uid"]
        for target in panel["targets"]:
            names = re.findall(r"\bsolesource_\w+", target["expr"])
            assert names
            for name in names:
                assert name in METRICS or re.sub(r"_(total|bucket)$", "", name) in METRICS, name


def test_secrets_are_made_once_and_are_all_that_compose_asks_for(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy/new-secrets.sh", tmp_path / "deploy")
    shutil.copytree(ROOT / "broker/demo/map", tmp_path / "map")
    run_secrets(tmp_path)
    made = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())
    asked = {name for text in strings(COMPOSE) for name in re.findall(r"\$\{(\w+):\?", text)}
    assert asked == set(made)
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert (tmp_path / "deploy/.secrets").stat().st_mode & 0o077 == 0
    credentials = read_secret(tmp_path, "kafka-credentials")
    assert set(credentials) == {"admin", *OURS, "crm", "erp", "billing"}
    assert credentials["admin"] == made["KAFKA_ADMIN_PASSWORD"]
    assert read_secret(tmp_path, "broker-credentials") == {name: credentials[name] for name in OURS}
    passwords = [value for name, value in made.items() if SECRET_NAME.search(name)]
    assert len({*passwords, *credentials.values()}) == 11  # the admin's is in both
    assert all(len(password) == 48 for password in [*passwords, *credentials.values()])


def test_a_new_system_gets_a_password_and_nobody_elses_changes(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy/new-secrets.sh", tmp_path / "deploy")
    shutil.copytree(ROOT / "broker/demo/map", tmp_path / "map")
    run_secrets(tmp_path)
    before, env = read_secret(tmp_path, "kafka-credentials"), (tmp_path / ".env").read_text()
    assert "none" in run_secrets(tmp_path)
    assert read_secret(tmp_path, "kafka-credentials") == before
    with (tmp_path / "map/systems.yaml").open("a") as systems:
        systems.write("  web-shop:\n    title: Shop\n")
    assert "web-shop" in run_secrets(tmp_path)
    after = read_secret(tmp_path, "kafka-credentials")
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"web-shop"}
    assert (tmp_path / ".env").read_text() == env


def test_without_a_map_no_secret_is_made(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy/new-secrets.sh", tmp_path / "deploy")
    refused = subprocess.run(
        [str(tmp_path / "deploy/new-secrets.sh")], check=False, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "SOLESOURCE_MAP_DIR" in refused.stderr
    assert not (tmp_path / ".env").exists()


def run_secrets(folder: Path) -> str:
    script = str(folder / "deploy/new-secrets.sh")
    return subprocess.run([script], check=True, capture_output=True, text=True).stdout


def read_secret(folder: Path, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / f"deploy/.secrets/{name}.json").read_text())
    return found
