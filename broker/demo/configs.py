"""The two connectors' files, as a connector author would write them; secrets by reference."""

from __future__ import annotations

from pathlib import Path

import yaml

from broker.demo.systems import Crm, Erp
from broker.embedded.files import write_document
from broker.settings import Settings

MAP_DIR = Path(__file__).parent / "map"


def write_configs(settings: Settings, crm: Crm, erp: Erp) -> dict[str, Path]:
    """Write crm.yaml and erp.yaml, and the secrets they refer to; returns their paths."""
    folder = settings.home / "connectors"
    folder.mkdir(parents=True, exist_ok=True)
    secrets = folder / "secrets.json"
    write_document(secrets, {"crm": crm.password, "erp": erp.tryton.password})
    documents = {"crm": _crm(crm, secrets), "erp": _erp(erp, secrets)}
    return {name: _write(settings, folder, name, document) for name, document in documents.items()}


def _crm(crm: Crm, secrets: Path) -> dict[str, object]:
    host = crm.url.rsplit("@", 1)[-1].partition("/")[0]
    return {
        "adapter": "postgres",
        "objects": {
            "customer": {
                "table": "customers",
                "key": "customer_id",
                "insert": False,
                "fields": {name: name for name in ("customer_id", "name", "email", "phone", "credit_limit")},
            }
        },
        "settings": {
            "dsn": f"postgresql://crm@{host}/crm",
            "password": {"file": str(secrets), "key": "crm"},
            "slot": "solesource_crm",
        },
        "poll_interval_ms": 50,
    }


def _erp(erp: Erp, secrets: Path) -> dict[str, object]:
    return {
        "adapter": "tryton",
        "objects": {
            "customer": {
                "key": "code",
                "create": True,
                "only": [["code", "like", "C-%"]],
                "fields": {
                    "customer_id": "code",
                    "name": "name",
                    "email": "contact:email",
                    "phone": "contact:phone",
                    "credit_limit": "credit_limit_amount",
                },
            }
        },
        "settings": {
            "url": erp.tryton.url,
            "database": erp.tryton.database,
            "user": erp.tryton.user,
            "password": {"file": str(secrets), "key": "erp"},
            "page": 100,
        },
        "poll_interval_ms": 500,
        "batch_max": 100,
    }


def _write(settings: Settings, folder: Path, name: str, document: dict[str, object]) -> Path:
    path = folder / f"{name}.yaml"
    kafka = {
        "bootstrap": settings.bootstrap,
        "username": name,
        "password": {"file": str(settings.credentials_path), "key": name},
    }
    whole = {
        "system": name,
        "kafka": kafka,
        "contracts": str(settings.map_dir),
        "store": str(folder / f"{name}.db"),
        **document,
    }
    path.write_text(yaml.safe_dump(whole, sort_keys=False), "utf-8")
    return path
