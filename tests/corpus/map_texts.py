"""The maps that scenarios stand on: a base from the folder `maps`, with small changes, compiled as any other.

Moments in a map are said from where the scenario begins: `start + 2h`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from broker.rules import Rules, rules_of
from ownership.document import duration_ms
from schemas.envelope import format_time
from tests.gate_parts import T0, registry_document

MAPS = Path(__file__).parent / "maps"
_MOMENT = re.compile(r"start(?: \+ (\w+))?")


def moment_ms(text: str) -> int:
    """Milliseconds since 1970 of `start + 2h`. Raises ValueError."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        msg = f"a moment is said as `start + 2h`, not `{text}`"
        raise ValueError(msg)
    return T0 + (duration_ms(found[1]) if found[1] else 0)


def changed(document: Any, changes: Any) -> Any:
    """A document with changes merged into it; `null` takes a key away."""
    if not isinstance(document, Mapping) or not isinstance(changes, Mapping):
        return changes
    merged = dict(document)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = changed(merged.get(key), value)
    return merged


def map_document(base: str, changes: Mapping[str, Any]) -> Any:
    """The map of an object, as people would write it."""
    return changed(_document(base), changes)


@cache
def _document(base: str) -> Any:
    return yaml.safe_load((MAPS / f"{base}.yaml").read_text("utf-8"))


def contracts_of(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Every version of the map's contract, the one in force last."""
    return _contracts(str(document["contract"]).removesuffix(".avsc"))


@cache
def _contracts(stem: str) -> Sequence[Mapping[str, Any]]:
    return tuple(json.loads(path.read_text("utf-8")) for path in sorted(MAPS.glob(f"{stem}-[0-9].avsc")))


def rules(document: Mapping[str, Any], version: int) -> Rules:
    """A map version in force. Raises MapRefused."""
    return _rules(json.dumps(_dated(document)), version)


@cache
def _rules(text: str, version: int) -> Rules:
    document = json.loads(text)
    texts = {
        "systems.yaml": (MAPS / "systems.yaml").read_text("utf-8"),
        "customer.yaml": yaml.safe_dump(document, sort_keys=False),
    }
    return rules_of(texts | registry_document(*contracts_of(document)), version)


def _dated(said: Any) -> Any:
    if isinstance(said, Mapping):
        return {key: _dated(value) for key, value in said.items()}
    if isinstance(said, list):
        return [_dated(value) for value in said]
    if isinstance(said, str) and _MOMENT.fullmatch(said):
        return format_time(moment_ms(said)).decode()
    return said
