"""Headers of an authoritative record: what a reader must know beside the value, and how it is spelled.

Pure. The gate writes them, every sink and the gate's own replay read them.

| header | meaning |
|---|---|
| ce_id | `<object>/<key>@<revision>` |
| ce_type | `<object>.authoritative`, or `<object>.deleted` with a null value |
| ce_time | when the change happened in its source |
| ce_causationid | `<system>/<event id>` of the change that caused it |
| ce_revision | the gate's own number of this record, +1 each time |
| ce_changed | fields that differ from the previous revision, comma separated |
| ce_owners | per system of record: `system@event id` of its last accepted change, and `=fields` where not all |
| ce_decision | `<map version>:<append time of the change in ms>` |
| ce_reassert | `system:fields` that must write the owner's value again (only then present) |
| ce_sequence | of a delivery to a restricted reader: offset of the authoritative record in the same partition |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from schemas.envelope import SPECVERSION, Headers, field_set, format_time, parse_time_ms
from schemas.errors import MalformedEnvelope

GATE_SOURCE = b"/solesource"
Owners = tuple[tuple[str, str, frozenset[str] | None], ...]
"""(system of record, its last accepted event id, fields; None = every field not named elsewhere)."""


@dataclass(frozen=True, slots=True)
class AuthoritativeEnvelope:
    """What the headers of an authoritative record say."""

    object: str
    deleted: bool
    time_ms: int
    causation: tuple[str, str]
    """(system, event id) of the change that caused this revision."""
    revision: int
    changed: frozenset[str]
    owners: Owners
    map_version: int
    ingress_ms: int
    reassert: tuple[str, frozenset[str]] | None
    sequence: int | None = None
    """Of a delivery: offset of the authoritative record that it was made of."""

    def owned_by(self, system: str, fields: Iterable[str]) -> frozenset[str]:
        """Those of `fields` whose system of record is `system`."""
        named = {name: owner for owner, _, names in self.owners if names is not None for name in names}
        rest = next((owner for owner, _, names in self.owners if names is None), "")
        return frozenset(name for name in fields if named.get(name, rest) == system)


_REVISION, _OWNERS, _DECISION = 6, 8, 9
"""Where `authoritative_headers` puts them."""


def format_owners(owners: Iterable[tuple[str, str, frozenset[str] | None]]) -> bytes:
    """`crm@seq:0:01;erp@time:0:02=credit_limit`: the entry without fields owns the rest."""
    parts = []
    for system, event, fields in owners:
        quoted = event.replace("%", "%25").replace(";", "%3B").replace("=", "%3D")
        parts.append(
            f"{system}@{quoted}" if fields is None else f"{system}@{quoted}={','.join(sorted(fields))}"
        )
    return ";".join(parts).encode()


@lru_cache(maxsize=1024)  # nearly every record has a text of its own
def parse_owners(text: bytes) -> Owners:
    """The inverse of `format_owners`."""
    if not text:
        return ()
    owners = []
    for part in text.decode().split(";"):
        system, _, rest = part.partition("@")
        quoted, separator, fields = rest.partition("=")
        event = quoted.replace("%3D", "=").replace("%3B", ";").replace("%25", "%")
        owners.append((system, event, field_set(fields.encode()) if separator else None))
    return tuple(owners)


def authoritative_headers(
    *,
    object_name: str,
    key: bytes,
    revision: int,
    deleted: bool,
    time_ms: int,
    system: str,
    event_id: str,
    changed: Iterable[str],
    owners: bytes,
    map_version: int,
    ingress_ms: int,
    reassert: tuple[str, Iterable[str]] | None = None,
    time: bytes = b"",
) -> list[tuple[str, bytes]]:
    """The headers the gate writes; at most eleven. `time`: `ce_time` as it was sent, if somebody sent one."""
    number = b"%d" % revision
    headers = [
        ("ce_specversion", SPECVERSION),
        ("ce_id", b"%b/%b@%b" % (object_name.encode(), key, number)),
        ("ce_source", GATE_SOURCE),
        ("ce_type", f"{object_name}.{'deleted' if deleted else 'authoritative'}".encode()),
        ("ce_time", time or format_time(time_ms)),
        ("ce_causationid", f"{system}/{event_id}".encode()),
        ("ce_revision", number),
        ("ce_changed", ",".join(sorted(changed)).encode()),
        ("ce_owners", owners),
        ("ce_decision", b"%d:%d" % (map_version, ingress_ms)),
    ]
    if reassert is not None:
        headers.append(("ce_reassert", f"{reassert[0]}:{','.join(sorted(reassert[1]))}".encode()))
    return headers


def parse_revision(headers: Headers) -> tuple[int, Owners, int]:
    """(revision, owners, append time in ms of the change): all of an authoritative record's headers that a state holds.

    In a third of the time of `parse_authoritative`. MalformedEnvelope if it was not written by the gate.
    """
    try:
        revision, owners, decision = _where_the_gate_writes_them(headers)
        return int(revision), parse_owners(owners), int(decision.partition(b":")[2])
    except (KeyError, ValueError) as error:
        raise _malformed(error) from error


def _where_the_gate_writes_them(headers: Headers) -> tuple[bytes, bytes, bytes]:
    """(`ce_revision`, `ce_owners`, `ce_decision`), by their place first: a name just read has no hash yet."""
    count = len(headers)
    if count == _DECISION + 1 or (count == _DECISION + 2 and headers[-1][0] == "ce_reassert"):
        (first, revision), (second, owners), (third, decision) = (
            headers[_REVISION],
            headers[_OWNERS],
            headers[_DECISION],
        )
        if first == "ce_revision" and second == "ce_owners" and third == "ce_decision":
            return revision, owners, decision
    found: Mapping[str, bytes] = dict(headers)
    return found["ce_revision"], found["ce_owners"], found["ce_decision"]


def _malformed(error: Exception) -> MalformedEnvelope:
    return MalformedEnvelope(
        f"not an authoritative record: {error!s:.80}",
        "Only the gate may write this topic; check its ACLs with `solesource doctor`.",
    )


def parse_authoritative(headers: Headers) -> AuthoritativeEnvelope:
    """Read the headers of an authoritative record; MalformedEnvelope if it was not written by the gate."""
    found: Mapping[str, bytes] = dict(headers)
    try:
        object_name, _, kind = found["ce_type"].decode().rpartition(".")
        system, _, event = found["ce_causationid"].decode().partition("/")
        map_version, _, ingress = found["ce_decision"].partition(b":")
        target, _, fields = found.get("ce_reassert", b"").partition(b":")
        return AuthoritativeEnvelope(
            object=object_name,
            deleted=kind == "deleted",
            time_ms=parse_time_ms(found["ce_time"]),
            causation=(system, event),
            revision=int(found["ce_revision"]),
            changed=field_set(found["ce_changed"]),
            owners=parse_owners(found["ce_owners"]),
            map_version=int(map_version),
            ingress_ms=int(ingress),
            reassert=(target.decode(), field_set(fields)) if target else None,
            sequence=int(found["ce_sequence"]) if "ce_sequence" in found else None,
        )
    except (KeyError, ValueError) as error:
        raise _malformed(error) from error
