"""Parts that the connectors' tests share: the demo's contract, an adapter's context, updates made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connectors.sdk.adapter import Context
from connectors.sdk.sink import Update
from connectors.sdk.store import Store
from schemas.registry import FileRegistry

MAP_FOLDER = Path(__file__).parents[1] / "broker" / "demo" / "map"
FIELDS = ("customer_id", "name", "email", "phone", "credit_limit")
REGISTRY = FileRegistry(MAP_FOLDER)


def context_of(
    system: str, *, settings: dict[str, Any], mapping: dict[str, Any], store: Store, folder: Path = Path()
) -> Context:
    """What an adapter is given for the one object `customer`."""
    return Context(
        system=system,
        settings=settings,
        objects={"customer": mapping},
        contracts={"customer": REGISTRY.contract("customer")},
        folder=folder,
        shelf=store.shelf("test"),
    )


def update_of(
    key: str,
    revision: int,
    write: str = "",
    *,
    cause: str = "erp",
    created: bool = False,
    deleted: bool = False,
    writable: str = "",
    **values: Any,
) -> Update:
    """An update of a customer; `write` and `writable` are field names with spaces between."""
    return Update(
        object="customer",
        key=key,
        revision=revision,
        deleted=deleted,
        values={} if deleted else dict.fromkeys(FIELDS) | {"customer_id": key} | values,
        write=frozenset(write.split()),
        writable=frozenset((writable or write).split()),
        created=created,
        cause=(cause, f"seq:0:{revision:016X}"),
        time_ms=1_000,
        ingress_ms=1_010,
        decided_ms=1_020,
    )
