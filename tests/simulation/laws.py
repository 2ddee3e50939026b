"""Laws of the simulation, the maps that say them, and values as wire bytes. Few of each, so that everything collides.

A law is drawn, published as a map version, and drawn again while changes are in flight.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from typing import Any

import fastavro

from broker import rules as product_rules
from broker.rules import Rules
from tests.gate_parts import CUSTOMER, FIELDS, FLAT, SYSTEMS, map_texts, money, object_document
from tests.oracle_words import Law

KEY_FIELD, LIMIT = "customer_id", "credit_limit"
TEXTS = (None, "a", "b", "c")
SUMS = (None, 1, 2, 3)
POLICIES = ("quarantine", "reject", "propose")
FRAME = b"\0" + (100).to_bytes(4, "big")
"""How a value of the contract begins: the magic byte, and the id that tests/gate_parts.py gives it."""
_SCHEMAS = {flat: fastavro.parse_schema(FLAT if flat else CUSTOMER) for flat in (False, True)}


def draw_law(rng: random.Random) -> Law:
    """Who owns what in the beginning: always the CRM creates."""
    whole = rng.random() < 0.3
    return Law(
        owners=dict.fromkeys(FIELDS, "crm")
        | ({} if whole else {LIMIT: "erp", "phone": rng.choice(["crm", "crm", "erp"])}),
        create="crm",
        delete=rng.choice(["crm", "crm", "crm", "erp"]),
        policies={system: rng.choice(POLICIES) for system in SYSTEMS},
        readers={"crm": None, "erp": None} | _billing(rng),
    )


def _billing(rng: random.Random) -> dict[str, frozenset[str] | None]:
    narrow, wide = frozenset({KEY_FIELD, "name"}), frozenset({KEY_FIELD, "name", "email", "phone"})
    granted = rng.choice([None, None, narrow, wide, "nothing"])
    return {} if granted == "nothing" else {"billing": granted}


def draw_next_law(rng: random.Random, law: Law) -> Law:
    """What somebody might change: a policy, what billing reads, or who owns a field."""
    kind = rng.choice(["policy", "reader", "reader", "owner", "owner"])
    if kind == "policy":
        return replace(law, policies=law.policies | {rng.choice(SYSTEMS): rng.choice(POLICIES)})
    if kind == "reader":
        return replace(law, readers={"crm": None, "erp": None} | _billing(rng))
    name = rng.choice([LIMIT, "phone", "email"])
    return replace(law, owners=law.owners | {name: "erp" if law.owners[name] == "crm" else "crm"})


def texts_of(law: Law, *, flat: bool) -> dict[str, str]:
    """The files of a map version that says this law."""

    def granted(system: str) -> Any:
        visible = law.readers.get(system, frozenset())
        return "all" if visible is None else sorted(visible) or "none"

    document = object_document(
        create=law.create,
        delete={"authority": law.delete, "consumers": "soft"},
        fields={name: {"system_of_record": owner} for name, owner in law.owners.items()},
        systems={
            system: {"read": granted(system), "on_violation": policy}
            for system, policy in law.policies.items()
        },
    )
    return map_texts(document, [FLAT if flat else CUSTOMER])


class Rulebook:
    """Rules compiled by the product, each law and version once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Rules] = {}

    def of(self, law: Law, version: int, *, flat: bool) -> Rules:
        spelled = (version, flat, law.delete, *map(_spelled, (law.owners, law.policies, law.readers)))
        if spelled not in self._known:
            self._known[spelled] = product_rules.rules_of(texts_of(law, flat=flat), version)
        return self._known[spelled]


def _spelled(entries: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted((name, value) for name, value in entries.items()))


def value_drawn(rng: random.Random, name: str, *, flat: bool) -> Any:
    """A value of a field, as it is decoded."""
    if name != LIMIT:
        return rng.choice(TEXTS)
    amount = rng.choice(SUMS)
    return amount if flat or amount is None else money(amount)


def encoded(values: Mapping[str, Any], *, flat: bool) -> bytes:
    out = BytesIO()
    out.write(FRAME)
    fastavro.schemaless_writer(out, _SCHEMAS[flat], dict.fromkeys(FIELDS) | dict(values))
    return out.getvalue()


@lru_cache(maxsize=65536)
def decoded(value: bytes, *, flat: bool) -> Mapping[str, Any]:
    """What stands in wire bytes, read without the product's codec."""
    assert value.startswith(FRAME), value[:5]
    return fastavro.schemaless_reader(BytesIO(value[5:]), _SCHEMAS[flat], None)
