"""What was inferred, as an object's file of the map: what is clear is said, the rest left open, the evidence beside it.

Pure. What an object's file says already and traffic cannot (steward, conflicts, promises) stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ownership.inferred import Inferred
from ownership.lines import OPEN

_WIDE = 1_000_000
"""So that a line is never broken, and what stands beside it stays there."""


def file_of(inferred: Inferred, known: Mapping[str, Any], contract: str, since: str) -> str:
    """The YAML. known: what the object's file says now, if there is one; contract: the contract's file."""
    about = f"# Inferred from what was sent since {since}; beside each field what was seen of it.\n"
    left = "# A question mark is still to be said: the traffic does not say it clearly.\n"
    head = {
        "object": inferred.object,
        "description": OPEN,
        "key": inferred.key,
        "steward": {"team": OPEN, "contact": OPEN},
        "contract": contract,
    }
    head |= {name: known[name] for name in (*head, "generation", "partitions") if name in known}
    head["system_of_record"] = inferred.system_of_record
    said = {"systems", "fields", "create", "delete"}
    rest = {name: value for name, value in known.items() if name not in head and name not in said}
    systems = _systems(inferred, known.get("systems") or {})
    fields = list(_fields(inferred, known.get("fields") or {}))
    return "".join(
        [
            about,
            left,
            _yaml(head),
            *_authorities(inferred, known.get("delete") or {}),
            *(["fields:\n", *fields] if fields else []),
            _yaml({"systems": systems}) if systems else "",
            _yaml(rest) if rest else "",
        ]
    )


def _authorities(inferred: Inferred, known: Mapping[str, Any]) -> Iterator[str]:
    create, delete = inferred.create, inferred.delete
    yield _beside(
        "create", create.system, create.words("records named first", "nobody was seen to create one")
    )
    rule = {"authority": delete.system, "consumers": known.get("consumers", "soft")}
    yield _beside("delete", rule, delete.words("records deleted", "nobody was seen to delete one"))


def _fields(inferred: Inferred, known: Mapping[str, Any]) -> Iterator[str]:
    for one in inferred.fields:
        rule = {
            name: value for name, value in (known.get(one.name) or {}).items() if name != "system_of_record"
        }
        if one.name == inferred.key:  # it belongs to who creates
            if rule:
                yield f"  {_beside(one.name, rule, 'the key')}"
        else:
            yield f"  {_beside(one.name, {'system_of_record': one.owner, **rule}, one.words)}"


def _systems(inferred: Inferred, known: Mapping[str, Any]) -> dict[str, Any]:
    """Rules as they are, and what systems without a field of their own receive, as far as it was seen."""
    found = {name: dict(rule or {}) for name, rule in known.items()}
    for system, fields in inferred.readers.items():
        rule = found.setdefault(system, {})
        read = rule.get("read", "none")
        if read != "all":
            more = [name for name in fields if name not in read] if isinstance(read, list) else list(fields)
            rule["read"] = ([*read, *more] if isinstance(read, list) else more) or "none"
    return found


def _beside(name: str, value: Any, words: str) -> str:
    """One line: what is said, and beside it what was seen."""
    # PyYAML writes a mapping of nothing but words in braces, unless it is told not to.
    said = _yaml({name: value}, flow=None if isinstance(value, dict) else False)
    return f"{said.rstrip()}  # {words}\n"


def _yaml(values: Mapping[str, Any], *, flow: bool | None = False) -> str:
    return yaml.safe_dump(
        dict(values), sort_keys=False, allow_unicode=True, default_flow_style=flow, width=_WIDE
    )
