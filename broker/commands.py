"""Commands as they travel: the one place that writes their wire bytes. What they do is `broker.gate.commands`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.registry import envelopes


def command_value(
    command: str,
    *,
    command_id: str,
    by: str,
    issued_ms: int,
    note: str = "",
    case_id: str | None = None,
    system: str | None = None,
    fields: Sequence[str] = (),
    value: bytes | None = None,
    headers: Mapping[str, bytes] | None = None,
    topic: str = "",
    partition: int = 0,
    offset: int = 0,
    attempt: int = 0,
    incarnation: int = 0,
) -> bytes:
    """The wire bytes of a command; what each field means stands in schemas/avro/command-2.avsc."""
    record: dict[str, Any] = {
        "command": command,
        "command_id": command_id,
        "by": by,
        "note": note,
        "case_id": case_id,
        "system": system,
        "fields": list(fields),
        "value": value,
        "headers": dict(headers or {}),
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "attempt": attempt,
        "incarnation": incarnation,
        "issued_ms": issued_ms,
    }
    registry = envelopes()
    return registry.codec.encode(registry.id_of("command"), record)
