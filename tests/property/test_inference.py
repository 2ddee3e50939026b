"""Counting who writes what against a slow twin that keeps everything, and maps found again in the traffic they make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from ownership.inference import LATE_MS, RECENT_MAX, Sent, Traffic, TrafficFold
from ownership.inferred import COUNT_MIN, inferred_from
from ownership.lines import OPEN

SYSTEMS = ("crm", "erp", "billing")
FIELDS = ("name", "phone", "limit")
T0 = 1_795_000_000_000


@st.composite
def histories(draw: st.DrawFn) -> list[Sent]:
    """Few systems, records, fields and values, so that everything collides."""
    found, time_ms = [], T0
    for number in range(draw(st.integers(1, 40))):
        time_ms += draw(st.sampled_from([0, 1, 1_000, LATE_MS // 2, LATE_MS, LATE_MS + 1]))
        system = draw(st.sampled_from(SYSTEMS))
        values = draw(
            st.one_of(
                st.none(),
                *3 * [st.dictionaries(st.sampled_from(FIELDS), st.sampled_from([None, "a", "b", "c", 1]))],
            )
        )
        event = draw(st.sampled_from([str(number), str(number), "again"]))
        happened_ms = time_ms - draw(st.sampled_from([0, 1, 5_000]))
        whole, complete = draw(st.booleans()), draw(st.booleans())
        key = draw(st.sampled_from([b"C-1", b"C-2"]))
        found.append(
            Sent(system, key, time_ms, f"{system}/{number}", event, happened_ms, values, whole, complete)
        )
    return found


class Told(NamedTuple):
    """One value in a record's history, with what it was found to be."""

    sent: Sent
    value: Any
    kind: str


class Twin:
    """Looks through everything that was ever said of a record, each time."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.overwrote: Counter[tuple[str, str, str]] = Counter()
        self.earlier: Counter[tuple[str, str, str]] = Counter()
        self.created: Counter[str] = Counter()
        self.deleted: Counter[str] = Counter()
        self.again = 0

    def record(self, history: Sequence[Sent]) -> None:
        """Count the changes of one record."""
        before: list[Sent] = []
        life: list[Sent] = []
        for sent in history:
            mine = [one for one in before if one.system == sent.system]
            if mine and mine[-1].event_id == sent.event_id:
                self.again += 1
                continue
            if sent.values is None:
                self.deleted[sent.system] += not before or before[-1].values is not None
                life = []
            else:
                self.created[sent.system] += sent.complete and not life
                life.append(sent)
            before.append(sent)
        for run in self.lives(history):
            for name in FIELDS:
                self.field(name, [sent for sent in run if sent.values is not None and name in sent.values])

    @staticmethod
    def lives(history: Sequence[Sent]) -> list[list[Sent]]:
        """What was said of a record between its deletions, without what came twice in a row."""
        found: list[list[Sent]] = [[]]
        last: dict[str, str] = {}
        for sent in history:
            if last.get(sent.system) != sent.event_id:
                last[sent.system] = sent.event_id
                found[-1].append(sent)
                if sent.values is None:
                    found.append([])
        return found

    def field(self, name: str, history: Sequence[Sent]) -> None:
        """Count what was said of one field between two deletions."""
        told: list[Told] = []
        for sent in history:
            assert sent.values is not None
            value = sent.values[name]
            kind = self.kind(told, sent, value)
            in_force = [one for one in told if one.kind in ("changed", "first", "null")]
            if kind == "changed" and in_force[-1].kind == "changed":
                former = in_force[-1].sent.system
                self.overwrote[name, sent.system, former] += former != sent.system
            if (
                kind == "echoed"
                and in_force[-1].value == value
                and sent.happened_ms < in_force[-1].sent.happened_ms
            ):
                self.earlier[name, sent.system, in_force[-1].sent.system] += 1
            told.append(Told(sent, value, kind))
            self.counts[name, sent.system, "unchanged" if kind == "null" else kind] += 1

    @staticmethod
    def kind(told: Sequence[Told], sent: Sent, value: Any) -> str:
        """What one value is, by all that was said before it."""
        if not told:
            return "null" if value is None else "first"
        steps = [one for one in told if one.kind in ("changed", "first", "null")]
        if value == steps[-1].value:
            return "unchanged" if value is None or steps[-1].sent.system == sent.system else "echoed"
        mine = [one for one in told if one.sent.system == sent.system]
        if sent.whole and mine and mine[-1].value == value:
            return "unchanged"
        replaced = list(zip(steps, [one.sent.time_ms for one in steps[1:]], strict=False))[-RECENT_MAX:]
        late = [
            one
            for one, at_ms in replaced
            if one.value == value
            and value is not None
            and one.sent.system != sent.system
            and (sent.whole or sent.time_ms - at_ms <= LATE_MS)
        ]
        return "echoed" if late else "changed"


def folded(history: Sequence[Sent]) -> Traffic:
    fold = TrafficFold("customer")
    for sent in history:
        fold.take(sent)
    return fold.traffic


@given(histories())
def test_counts_are_those_of_the_slow_twin(history: list[Sent]) -> None:
    traffic, twin = folded(history), Twin()
    for key in (b"C-1", b"C-2"):
        twin.record([sent for sent in history if sent.key == key])
    said = [(name, system, one) for name, found in traffic.fields.items() for system, one in found.items()]
    kinds = ("changed", "first", "echoed", "unchanged")
    assert {
        (n, s, k): getattr(one, k) for n, s, one in said for k in kinds if getattr(one, k)
    } == +twin.counts
    assert {(n, s, other): c for n, s, one in said for other, c in one.overwrote.items()} == +twin.overwrote
    assert {(n, s, other): c for n, s, one in said for other, c in one.earlier.items()} == +twin.earlier
    assert (+traffic.created, +traffic.deleted) == (+twin.created, +twin.deleted)
    assert traffic.sent_again == twin.again


@given(histories())
def test_partitions_can_be_counted_apart(history: list[Sent]) -> None:
    """Keys of one partition are in no other: the sum of the parts is the whole."""
    parts = Traffic("customer")
    for key in (b"C-1", b"C-2"):
        parts.add(folded([sent for sent in history if sent.key == key]))
    whole = folded(history)
    assert _without_samples(parts) == _without_samples(whole)


def _without_samples(traffic: Traffic) -> Traffic:
    """A sample is any place of its kind: which one depends on who came first."""
    for found in traffic.fields.values():
        for one in found.values():
            one.samples = dict.fromkeys(one.samples, "")
    return traffic


@st.composite
def maps(draw: st.DrawFn) -> tuple[dict[str, str], str, dict[str, frozenset[str]], int]:
    """(field to its owner, who creates, system to what it reads, seed)."""
    owners = {name: draw(st.sampled_from(SYSTEMS)) for name in FIELDS}
    creator = draw(st.sampled_from(SYSTEMS))
    reads = {system: frozenset(draw(st.sets(st.sampled_from(FIELDS)))) for system in SYSTEMS}
    return owners, creator, reads, draw(st.integers(0, 2**32))


def obeyed(owners: dict[str, str], creator: str, reads: dict[str, frozenset[str]], seed: int) -> list[Sent]:
    """Traffic under a map: owners change their fields, readers repeat what they receive, some of it late."""
    random, time_ms, found = Random(seed), T0, list[Sent]()
    held: dict[tuple[str, bytes], dict[str, Any]] = {}

    def send(
        system: str, key: bytes, values: dict[str, Any], *, whole: bool = False, complete: bool = False
    ) -> None:
        nonlocal time_ms
        time_ms += random.randint(0, 90_000)
        held.setdefault((system, key), {}).update(values)
        image = held[system, key] | values if whole else values
        found.append(
            Sent(
                system,
                key,
                time_ms,
                "",
                str(len(found)),
                time_ms,
                dict(image),
                whole=whole,
                complete=complete,
            )
        )

    keys = [b"C-%d" % number for number in range(COUNT_MIN)]
    for key in keys:
        send(creator, key, dict.fromkeys(FIELDS), complete=True)
    for turn in range(2 * COUNT_MIN):
        for name in random.sample(FIELDS, len(FIELDS)):
            key = random.choice(keys)
            send(owners[name], key, {name: f"{name} {turn}"}, whole=random.random() < 0.3)
            for system in random.sample(SYSTEMS, len(SYSTEMS)):
                if name in reads[system] and system != owners[name]:
                    send(system, key, {name: f"{name} {turn}"}, whole=random.random() < 0.3)
    return found


@given(maps())
@settings(max_examples=max(20, settings().max_examples // 4))
def test_a_map_is_found_again_in_the_traffic_that_obeys_it(
    drawn: tuple[dict[str, str], str, dict[str, frozenset[str]], int],
) -> None:
    owners, creator, reads, seed = drawn
    found = inferred_from(folded(obeyed(owners, creator, reads, seed)), FIELDS, "customer_id")
    assert {one.name: one.owner for one in found.fields} == owners
    most = Counter(owners.values()).most_common(2)
    tie = len(most) == 2 and most[0][1] == most[1][1]
    assert found.system_of_record == (OPEN if tie else most[0][0])
    assert (found.create.system, found.delete.system) == (creator, OPEN)
    for system, fields in found.readers.items():
        assert system not in {*owners.values(), creator} and set(fields) == reads[system]


@given(maps(), st.sampled_from(FIELDS), st.sampled_from(SYSTEMS))
@settings(max_examples=max(20, settings().max_examples // 4))
def test_a_field_that_two_systems_change_is_left_open(
    drawn: tuple[dict[str, str], str, dict[str, frozenset[str]], int], name: str, other: str
) -> None:
    owners, creator, reads, seed = drawn
    history = obeyed(owners, creator, reads, seed)
    last_ms = history[-1].time_ms
    for number in range(COUNT_MIN):
        sent = Sent(other, b"C-0", last_ms + number, "", f"x{number}", last_ms + number, {name: f"x{number}"})
        history.append(sent)
    (found,) = (one for one in inferred_from(folded(history), FIELDS).fields if one.name == name)
    assert found.owner == (owners[name] if owners[name] == other else OPEN)
