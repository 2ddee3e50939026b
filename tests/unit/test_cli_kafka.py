"""`solesource kafka` where no Kafka is started: its words, its JSON, its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from broker.cli.kafka import app
from broker.embedded.files import free_port


@pytest.fixture(autouse=True)
def no_kafka_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("command", ["up", "status"])
def test_a_kafka_of_ones_own_goes_first(
    monkeypatch: pytest.MonkeyPatch, command: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    said = run(command, "--data", str(tmp_path / "k"))
    assert said.exit_code == 0
    assert "kafka.example:9092 is used" in said.stdout
    document = json.loads(run(command, "--data", str(tmp_path / "k"), "--json").stdout)
    assert document == {"bootstrap": "kafka.example:9092", "embedded": False, "running": None}
    assert not (tmp_path / "k").exists()


def test_status_of_none_says_how_to_start_one(tmp_path: Path) -> None:
    said = run("status", "--data", str(tmp_path))
    assert said.exit_code == 3
    assert "solesource kafka up" in said.stdout
    assert json.loads(run("status", "--data", str(tmp_path), "--json").stdout)["running"] is False


def test_down_of_none_is_no_error(tmp_path: Path) -> None:
    said = run("down", "--data", str(tmp_path), "--json")
    assert said.exit_code == 0
    assert json.loads(said.stdout) == {"stopped": False}


def test_an_error_has_its_code_in_words_and_in_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLESOURCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SOLESOURCE_MAVEN_URL", f"http://127.0.0.1:{free_port()}")
    said = run("up", "--data", str(tmp_path / "k"))
    assert said.exit_code == 1
    assert "[embedded-jar-unreachable]" in said.stderr
    document = json.loads(run("up", "--data", str(tmp_path / "k"), "--json").stdout)
    assert document["error"] == "embedded-jar-unreachable"
