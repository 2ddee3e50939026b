"""Never a byte that the reader may not see: every revision of random histories, projected for every possible reader.

Hidden values, names, owners, events and times are words of their own, so a byte of one is found wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gate import project as projecting
from broker.gate.outgoing import Outgoing
from broker.gate.project import Projection, Revision, masked, project
from broker.rules import Rules, rules_of
from ownership.reading import Reading, readings
from schemas.authoritative import format_owners, parse_authoritative
from schemas.envelope import format_time
from tests.gate_parts import CUSTOMER, FIELDS, FLAT, T0, Bench, map_texts, object_document

KEY = b"a key of enough bytes"
OWNERS = {"name": "crm", "email": "crm", "phone": "erp", "credit_limit": "erp"}
VISIBLE = st.sets(st.sampled_from(FIELDS[1:])).map(lambda names: ["customer_id", *sorted(names)])
WRITES = st.lists(
    st.tuples(st.sampled_from(["crm", "erp"]), st.sets(st.sampled_from(FIELDS[1:4]), min_size=1)), max_size=8
)
WORDS = {name: f"{name.upper().replace('_', '')}WORD".encode() for name in FIELDS[1:4]}


def rules(read: list[str], hidden: Iterable[str] = ()) -> Rules:
    fields = {"phone": {"system_of_record": "erp"}, "credit_limit": {"system_of_record": "erp"}}
    systems = {"erp": {"read": "all"}, "billing": {"read": read, "masked": list(hidden)}}
    return rules_of(map_texts(object_document(fields=fields, systems=systems), [FLAT]), 1)


def history(bench: Bench, writes: list[tuple[str, set[str]]]) -> list[Revision]:
    """Writes of words of their own; every authoritative record that came of them."""
    bench.judge(bench.upsert("crm", "seq:0:CRMEVENT0000", {"credit_limit": None}))
    for number, (system, names) in enumerate(writes, 1):
        bench.now_ms += 1_000
        own = {name for name in names if OWNERS[name] == system}
        values = {name: f"{WORDS[name].decode()}{number}" for name in names}
        event = f"seq:0:{system.upper()}EVENT{number:04}"
        bench.judge(bench.upsert(system, event, values, fields=sorted(own or names)))
    return revisions(bench)


def revisions(bench: Bench) -> list[Revision]:
    """Every authoritative record that a bench wrote."""
    written = [o for _, o in bench.written if o.destination == "authoritative"]
    return [
        Revision(o.key, o.body if isinstance(o.body, bytes) else None, tuple(o.headers), n, T0 + 10**9)
        for n, o in enumerate(written)
    ]


def said(value: bytes | None, headers: list[tuple[str, bytes]]) -> bytes:
    return b"|".join([value or b"", *(b"%b=%b" % (name.encode(), told) for name, told in headers)])


def leaks(projection: Projection, revision: Revision, *, begins: bool = False) -> list[bytes]:
    """Every word of a hidden field in what the reader gets."""
    reading = projection.reading
    whole = parse_authoritative(revision.headers)
    everything = said(*project(projection, revision, KEY, begins=begins))
    hidden = [name for name in FIELDS if name not in reading.fields]
    words = [WORDS[name] for name in WORDS if name in hidden or name in reading.masked]
    words += [re.escape(name.encode()) for name in hidden]
    words += [b"CRMEVENT", b"ERPEVENT"]
    visible = set(reading.fields)
    words += [
        b"%b@" % s.encode() for s in ("crm", "erp") if not any(o == s for n, o in _owners() if n in visible)
    ]
    asserted = whole.reassert is not None and whole.reassert[0] == "billing"
    if not (whole.changed & visible or asserted or begins):
        words += [format_time(whole.time_ms), b"%d" % whole.ingress_ms, b"crm/", b"erp/"]
    return [word for word in words if re.search(word, everything)]


def _owners() -> list[tuple[str, str]]:
    return [("customer_id", "crm"), *OWNERS.items()]


def projection(found: Rules) -> Projection:
    (only,) = found.projections["customer"]
    return only


@given(read=VISIBLE, hide=st.booleans(), writes=WRITES, begins=st.booleans())
def test_no_byte_of_a_hidden_field(
    read: list[str], hide: bool, writes: list[tuple[str, set[str]]], begins: bool
) -> None:
    found = rules(read, [n for n in read[1:] if n != "credit_limit"] if hide else ())
    for revision in history(Bench(rules=found), writes):
        assert leaks(projection(found), revision, begins=begins) == []


@given(read=VISIBLE, writes=WRITES)
def test_what_may_be_seen_is_told_whole(read: list[str], writes: list[tuple[str, set[str]]]) -> None:
    found = rules(read)
    bench, one = Bench(rules=found), projection(found)
    for revision in history(bench, writes):
        value, headers = project(one, revision, b"")
        whole, told = parse_authoritative(revision.headers), parse_authoritative(tuple(headers))
        assert value is not None and revision.value is not None
        assert one.codec.decode(value, [one.schema_id]) == {
            name: shown for name, shown in one.source.decode(revision.value).items() if name in read
        }
        assert (told.revision, told.deleted, told.sequence) == (whole.revision, False, revision.offset)
        assert told.changed == whole.changed & set(read)
        assert dict(projecting.owners_by_field(told, frozenset(read))) == {
            name: owner for name, owner in _owners() if name in read
        }


def _whole_owners(envelope: Any, _: Any) -> bytes:
    return format_owners(envelope.owners)


def _lax(**wrong: Callable[..., Any]) -> Callable[..., list[tuple[str, bytes]]]:
    """Headers that say one thing too much."""
    real = projecting.authoritative_headers

    def headers(**given: Any) -> list[tuple[str, bytes]]:
        return real(**given | {name: say(given) for name, say in wrong.items()})

    return headers


LEAKS: dict[str, tuple[str, Any]] = {
    "owners of all fields": ("_owners", _whole_owners),
    "names of changed fields": ("authoritative_headers", _lax(changed=lambda _: FIELDS)),
    "the event behind it": ("authoritative_headers", _lax(event_id=lambda _: "seq:0:ERPEVENT0001")),
    "who changed what is hidden": ("authoritative_headers", _lax(system=lambda _: "erp")),
    "when it was changed": (
        "authoritative_headers",
        _lax(time_ms=lambda g: g["time_ms"] - 10**9 + 1_010 - 500),
    ),
    "masked values": ("_shown", lambda _r, _k, _n, value: value),
    "what another must write again": (
        "authoritative_headers",
        _lax(reassert=lambda _: ("erp", ["phone"])),
    ),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_seen(leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = rules(["customer_id", "name"], ["name"])
    revisions = history(Bench(rules=found), [("erp", {"phone"}), ("crm", {"name"}), ("crm", {"email"})])
    seen = [word for revision in revisions for word in leaks(projection(found), revision)]
    assert seen == []
    name, wrong = LEAKS[leak]
    if leak == "when it was changed":  # the true times of the hidden changes
        times = {r.offset: parse_authoritative(r.headers).time_ms for r in revisions}
        real = projecting.authoritative_headers
        wrong = lambda **given: real(**given | {"time_ms": times[given["revision"] - 1]})  # noqa: E731
    monkeypatch.setattr(projecting, name, wrong)
    assert [word for revision in revisions for word in leaks(projection(found), revision)] != []


def test_a_deletion_reaches_the_reader_without_a_value() -> None:
    found = rules(["customer_id", "name"])
    bench = Bench(rules=found)
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "x"}), bench.delete("crm", "seq:0:02"))
    last: Outgoing = [o for _, o in bench.written if o.destination == "authoritative"][-1]
    revision = Revision(last.key, None, tuple(last.headers), 7, T0)
    for begins in (False, True):
        value, headers = project(projection(found), revision, b"", begins=begins)
        told = parse_authoritative(tuple(headers))
        assert value is None and told.deleted and told.causation[0] == ("solesource" if begins else "crm")


def test_a_re_assertion_reaches_only_whom_it_names() -> None:
    found = rules(["customer_id", "name", "email"], ["email"])
    bench = Bench(rules=found)
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "x", "email": "y"}))
    bench.judge(bench.upsert("billing", "seq:0:01", {"name": "z", "email": "w"}, fields=["name", "email"]))
    last = [o for _, o in bench.written if o.destination == "authoritative"][-1]
    revision = Revision(
        last.key, last.body if isinstance(last.body, bytes) else None, tuple(last.headers), 7, T0
    )
    assert parse_authoritative(revision.headers).reassert == ("billing", {"name"}), (
        "a digest is not written again"
    )
    told = parse_authoritative(tuple(project(projection(found), revision, KEY)[1]))
    assert told.reassert == ("billing", {"name"})
    bench.judge(bench.upsert("erp", "seq:0:01", {"name": "z"}, fields=["name"]))
    other = [o for _, o in bench.written if o.destination == "authoritative"][-1]
    revision = Revision(
        other.key, last.body if isinstance(last.body, bytes) else None, tuple(other.headers), 8, T0
    )
    assert parse_authoritative(revision.headers).reassert == ("erp", {"name"})
    assert parse_authoritative(tuple(project(projection(found), revision, KEY)[1])).reassert is None


def test_digests_are_equal_for_equal_values_and_cannot_be_compared_elsewhere() -> None:
    one = masked(KEY, "billing", "customer", "name", "x")
    assert one == masked(KEY, "billing", "customer", "name", "x") and re.fullmatch(r"[0-9a-f]{32}", one)
    others = [
        masked(b"another key of bytes", "billing", "customer", "name", "x"),
        masked(KEY, "shop", "customer", "name", "x"),
        masked(KEY, "billing", "order", "name", "x"),
        masked(KEY, "billing", "customer", "email", "x"),
        masked(KEY, "billing", "customer", "name", "y"),
    ]
    assert one not in others and masked(KEY, "s", "o", "f", 1) != masked(KEY, "s", "o", "f", "1")
    found = rules(["customer_id", "name"], ["name"])
    value, _ = project(projection(found), history(Bench(rules=found), [])[0], KEY)
    assert value is not None and projection(found).codec.decode(value)["name"] is None, (
        "nothing stays nothing"
    )


@pytest.mark.parametrize(
    ("older", "newer", "value"),
    [("int", "long", 5), ("int", "double", 5), ("float", "double", 0.5), ("long", "long", 5)],
)
def test_digests_are_equal_whatever_version_of_the_contract_a_value_was_written_by(
    older: str, newer: str, value: float
) -> None:
    fields = {"credit_limit": {"system_of_record": "erp"}}
    systems = {"erp": {"read": "all"}, "billing": {"read": ["credit_limit"], "masked": ["credit_limit"]}}
    contracts = [_with_limit(older), _with_limit(newer, note=newer)]
    document = object_document(fields=fields, systems=systems)
    bench = Bench(rules=rules_of(map_texts(document, contracts[:1]), 1))
    bench.judge(bench.upsert("crm", "seq:0:01", {}))
    bench.judge(bench.upsert("erp", "seq:0:02", {"credit_limit": value}, fields=["credit_limit"]))
    bench.rules = rules_of(map_texts(document, contracts), 2)
    for number, limit in enumerate((value + 1, value), 3):
        told = {"credit_limit": float(limit) if newer == "double" else limit}
        bench.judge(bench.upsert("erp", f"seq:0:{number:02}", told, fields=["credit_limit"]))
    one, digests = projection(bench.rules), list[Any]()
    for revision in revisions(bench)[1:]:
        delivered, _ = project(one, revision, KEY)
        digests.append(one.codec.decode(delivered or b"", [one.schema_id])["credit_limit"])
    first, other, again = digests
    assert first == again != other


def _with_limit(kind: str, note: str = "") -> dict[str, Any]:
    limit = {"name": "credit_limit", "type": ["null", kind], "default": None}
    return {**FLAT, "doc": note, "fields": [*FLAT["fields"][:4], limit]}


def test_the_same_rights_have_the_same_name() -> None:
    def generation(read: list[str], **more: Any) -> str:
        systems = {"erp": {"read": "all"}, "billing": {"read": read, **more}}
        entry = rules_of(map_texts(object_document(systems=systems)), 1).ownership_map.objects["customer"]
        (reading,) = readings(entry)
        assert isinstance(reading, Reading) and re.fullmatch("[0-9a-f]{8}", reading.generation)
        return reading.generation

    name = generation(["name", "email"])
    assert name == generation(["email", "name"])
    older = {**CUSTOMER, "fields": [field for field in CUSTOMER["fields"] if field["name"] != "phone"]}
    newer = rules_of(
        map_texts(object_document(systems={"billing": {"read": ["name", "email"]}}), [older, CUSTOMER]), 1
    )
    (other_contract,) = readings(newer.ownership_map.objects["customer"])
    others = {
        other_contract.generation,
        generation(["name"]),
        generation(["name", "email"], masked=["email"]),
        generation(["name", "email"], masked=["email"], mask_key=2),
    }
    assert len(others | {name}) == 5


def test_a_contract_with_named_types_is_cut_where_it_may_be() -> None:
    kind = {"type": "enum", "name": "kind", "symbols": ["A", "B"]}
    contract = {
        "type": "record",
        "name": "customer",
        "doc": "SECRET words about everything",
        "fields": [
            {"name": "customer_id", "type": "string"},
            {"name": "name", "type": ["null", kind], "default": None},
            {"name": "email", "type": ["null", "kind"], "default": None, "doc": "an enum"},
            {"name": "phone", "type": ["null", {"type": "map", "values": "kind"}], "default": None},
            {"name": "credit_limit", "type": ["null", "string"], "default": None},
        ],
    }
    systems = {"erp": {"read": "all"}, "billing": {"read": ["customer_id", "email", "phone"]}}
    found = rules_of(map_texts(object_document(systems=systems), [contract]), 1)
    bench = Bench(rules=found)
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "A", "email": "B", "phone": {"x": "A"}}))
    (first,) = [o for _, o in bench.written if o.destination == "authoritative"]
    assert isinstance(first.body, bytes)
    one = projection(found)
    value, _ = project(one, Revision(first.key, first.body, tuple(first.headers), 0, T0), b"")
    assert value is not None
    assert one.codec.decode(value) == {"customer_id": "C-1", "email": "B", "phone": {"x": "A"}}
    assert "SECRET" not in str(one.document) and "credit_limit" not in str(one.document)
