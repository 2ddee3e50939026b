"""Errors of the wire: each has a stable code, and says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class SchemaError(Exception):
    """Something about a schema or about bytes on the wire is not acceptable."""

    code = "schema.error"
    remedy = "See docs/reference/wire-format.md."

    def __init__(self, detail: str, remedy: str | None = None) -> None:
        self.detail = detail
        if remedy is not None:
            self.remedy = remedy
        super().__init__(f"{detail} [{self.code}] {self.remedy}")


class UnreadableValue(SchemaError):
    """The bytes of a value cannot be decoded by the contract they name."""

    code = "wire.unreadable"
    remedy = "Write the value with the contract in force, in Confluent wire format V0."


class UnknownSchemaId(SchemaError):
    """The wire format names a schema id that the registry does not hold, or that belongs to another contract."""

    code = "wire.unknown_schema_id"
    remedy = "Use the id that `registry.json` gives for this object's contract."


class MalformedEnvelope(SchemaError):
    """A required CloudEvents header is missing or cannot be read."""

    code = "wire.malformed_envelope"
    remedy = "Send ce_specversion, ce_id, ce_source, ce_type, ce_time and ce_fields as UTF-8 headers."


class ContractRefused(SchemaError):
    """A contract uses a shape that could harm a reader, or is not an object contract at all."""

    code = "contract.refused"
    remedy = "Use a non-recursive record whose items all take at least one byte."


class ContractsClash(SchemaError):
    """Versions of one contract of which one cannot read the other, or would read other values."""

    code = "contract.clash"
    remedy = (
        "Give a new field a default, keep the type of the others, and name what means something else anew."
    )

    def __init__(self, object_name: str, found: Sequence[object]) -> None:
        self.found = tuple(found)
        super().__init__(f"{object_name}: " + "; ".join(map(str, found)))


class RegistryBroken(SchemaError):
    """The registry file contradicts itself or the schemas beside it."""

    code = "registry.broken"
    remedy = "Ids are stable: give a changed schema a new id, and never reuse one."
