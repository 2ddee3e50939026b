"""Configuration: faults are named by file, line and path, and no secret is ever shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from connectors import postgres
from connectors.postgres import CONNECTOR, DriverMissing
from connectors.sdk.__main__ import main
from connectors.sdk.access import access_of
from connectors.sdk.adapter import find_connector
from connectors.sdk.config import SecretReference, load_config
from connectors.sdk.errors import ConfigInvalid
from connectors.sdk.store import Store
from connectors.tryton import CONNECTOR as TRYTON
from tests.connector_parts import context_of

GOOD = """system: crm
adapter: postgres
kafka:
  bootstrap: 127.0.0.1:9092
  username: crm
  password: {file: credentials.json, key: crm}
contracts: map
store: var/crm.sqlite
objects:
  customer: {table: customers, key: customer_id, fields: {name: name}}
settings:
  dsn: postgresql://crm@127.0.0.1/crm
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "crm.yaml"
    path.write_text(text)
    return path


def test_a_good_file(tmp_path: Path):
    (tmp_path / "credentials.json").write_text(json.dumps({"crm": "s3cret"}))
    config = load_config(write(tmp_path, GOOD))
    assert (config.retries, config.folder) == (5, tmp_path)
    access = access_of(config)
    assert access.password == "s3cret"
    assert "s3cret" not in repr(access)


FAULTS = [
    (GOOD.replace("system: crm", "system: CRM !"), "crm.yaml:1: system"),
    (GOOD.replace("  username: crm\n", "  usrname: crm\n"), "crm.yaml:5: kafka.usrname"),
    (GOOD.replace("  username: crm\n", "  usrname: crm\n"), "crm.yaml:3: kafka.username: Field required"),
    (GOOD.replace("{file: credentials.json, key: crm}", "hunter2"), "crm.yaml:6: kafka.password"),
    (GOOD + "retries: many\n", "crm.yaml:13: retries"),
    (GOOD + "poll_interval: 5\n", "crm.yaml:13: poll_interval"),
    ("system: [", "crm.yaml:1: not a readable YAML"),
    ("- a\n", "a mapping is expected"),
]


@pytest.mark.parametrize(("text", "said"), FAULTS)
def test_faults_are_named_with_their_place(tmp_path: Path, text: str, said: str):
    with pytest.raises(ConfigInvalid) as caught:
        load_config(write(tmp_path, text))
    assert said in str(caught.value)
    assert caught.value.code == "connector.config_invalid"
    assert "hunter2" not in str(caught.value)


def test_secrets_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOLESOURCE_TEST_SECRET", "one")
    (tmp_path / "plain").write_text("two\n")
    assert SecretReference(env="SOLESOURCE_TEST_SECRET").read(tmp_path) == "one"
    assert SecretReference(file=Path("plain")).read(tmp_path) == "two"
    for reference in (
        SecretReference(),
        SecretReference(env="NOT_SET_ANYWHERE"),
        SecretReference(file=Path("none")),
        SecretReference(file=Path("plain"), key="x"),
    ):
        with pytest.raises(ConfigInvalid):
            reference.read(tmp_path)


def test_adapters_are_found_by_name_or_refused():
    assert find_connector("postgres").name == "postgres"
    assert find_connector("tryton").name == "tryton"
    for name in ("nothing", "sdk", "../evil", "os"):
        with pytest.raises(ConfigInvalid):
            find_connector(name)


@pytest.mark.parametrize(
    ("mapping", "settings", "said"),
    [
        (
            {"table": "t", "key": "id", "fields": {"nmae": "n"}},
            {"dsn": "host=x"},
            "not in the contract: nmae",
        ),
        ({"table": "t", "key": "id"}, {"dsn": "host=x"}, "objects.customer.fields: Field required"),
        ({"table": "t", "key": "id", "fields": {"name": "n"}}, {}, "settings.dsn: Field required"),
        (
            {"table": "t", "key": "id", "fields": {"name": "n"}},
            {"dsn": "host=x password=hunter2"},
            "holds a password",
        ),
    ],
)
def test_postgres_settings(mapping: dict[str, object], settings: dict[str, object], said: str):
    with pytest.raises(ConfigInvalid) as caught:
        CONNECTOR.build(context_of("crm", settings=settings, mapping=mapping, store=Store(":memory:")))
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_missing_driver_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(postgres, "DRIVER", "psycopg_that_is_not_installed")
    with pytest.raises(DriverMissing) as missing:
        CONNECTOR.build(context_of("crm", settings={}, mapping={}, store=Store(":memory:")))
    assert "[connector.driver_missing]" in str(missing.value)
    assert "pip install 'solesource[postgres]'" in str(missing.value)


def test_tryton_settings(tmp_path: Path):
    settings = {"url": "http://x", "database": "d", "user": "u", "password": {"env": "NOT_SET_ANYWHERE"}}
    mapping = {"key": "name", "fields": {"name": "name"}}
    with pytest.raises(ConfigInvalid, match="found by code"):
        TRYTON.build(context_of("erp", settings=settings, mapping=mapping, store=Store(":memory:")))


@pytest.fixture
def _logs_restored() -> Iterator[None]:
    """The command sets up logs for its whole process; the other tests live in this one too."""
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logs_restored")
def test_the_command_says_why_it_will_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(write(tmp_path, "system: ["))]) == 2
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert line["code"] == "connector.config_invalid"
    assert main([]) == 2
