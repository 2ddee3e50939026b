"""`solesource why`: what became of one change, and why."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from broker import topics
from broker.cli.output import AsJson, CommandRefused, show
from broker.console.words import OUTCOMES, reason_words
from broker.gate.decision import Outcome
from broker.gate.reason import BESIDE_AN_OUTCOME, Reason
from broker.kafka.reading import TopicReader
from broker.rules import rules_of
from broker.settings import Settings
from schemas.authoritative import parse_authoritative
from schemas.envelope import format_time
from schemas.errors import SchemaError
from schemas.registry import envelopes

Place = tuple[str, int, int]
_TOLD_LATER = {reason.code for reason in (*BESIDE_AN_OUTCOME, Reason.PARKED_EXPIRED)}
"""Reasons of cases that are not the outcome of the change they show."""


def why(
    change: Annotated[str, typer.Argument(help="SYSTEM/EVENT-ID, as in ce_causationid; or a case's name.")],
    as_json: AsJson = False,
) -> None:
    """Say what became of one change: outcome, reason, rule, map version, what to do."""
    settings = Settings()
    reader = TopicReader(settings.access("control"))
    try:
        place, key, event = _place(reader, settings, change)
        found = {"change": change, "topic": place[0], "partition": place[1], "offset": place[2]}
        found |= {"key": key.decode(errors="replace")} | _became(reader, place, key, event, settings.slots)
    finally:
        reader.close()
    show(found, as_json=as_json, text=_words(found))


def _place(reader: TopicReader, settings: Settings, change: str) -> tuple[Place, bytes, str]:
    """Where the change stands in the log: the first record of that id; later ones are repetitions."""
    if change.startswith("Q-"):
        for message in reader.read(topics.QUARANTINE):
            case = envelopes().codec.decode(message.value() or b"")
            if case["case_id"] == change:
                return (case["topic"], case["partition"], case["offset"]), case["key"], case["event_id"] or ""
        raise CommandRefused(f"there is no case {change} [why.unknown] See `solesource quarantine list`.")
    system, _, event = change.partition("/")
    found: tuple[Place, bytes, str] | None = None
    for name, entry in rules_of(settings.map_documents(), 0).ownership_map.objects.items():
        if not event or system not in entry.systems:
            continue
        for number in range(1, entry.generation + 1):
            found = found or _sent(reader, topics.changes(system, topics.stream_of(name, number)), event)
    if found is None:
        msg = (
            f"no change {change} is in the log [why.unknown] Give SYSTEM/EVENT-ID, such as crm/seq:0:42; "
            "changes older than the topic's retention are gone."
        )
        raise CommandRefused(msg)
    return found


def _sent(reader: TopicReader, topic: str, event: str) -> tuple[Place, bytes, str] | None:
    """The first change of that id in one topic; the topic of an older generation may be gone."""
    found: tuple[Place, bytes, str] | None = None
    for message in reader.read(topic) if topic in reader.topics() else ():
        headers: Any = dict(message.headers() or ())
        if found is None and headers.get("ce_id") == event.encode():
            place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
            found = place, message.key() or b"", event
    return found


def _became(reader: TopicReader, place: Place, key: bytes, event: str, slots: int) -> dict[str, Any]:
    batch = _batch(reader, place, slots)
    if batch is None:
        return {"outcome": "waiting", "reason": "", "map_version": None, "judged_at": None}
    told: dict[str, Any] = {
        "reason": "",
        "map_version": batch["map_version"],
        "judged_at": format_time(batch["gate_time_ms"]).decode(),
        "slot": batch["slot"],
        "batch": batch["sequence"],
    }
    for case in _at(reader, topics.QUARANTINE, place, batch["slot"]):
        if case["reason"] in _TOLD_LATER:
            continue
        told |= {
            "case": case["case_id"],
            "fields": [v["field"] for v in case["verdicts"] if v["verdict"] == "held"],
        }
        told |= {"owners": sorted({v["owner"] for v in case["verdicts"] if v["owner"]})}
        told["since"] = list(_steps(reader, case["case_id"], batch["slot"]))
        return told | {"outcome": case["outcome"], "reason": case["reason"]}
    for line in _at(reader, topics.TRAIL, place, batch["slot"]):
        if line["kind"] in set(Outcome):
            return told | {"outcome": line["kind"], "reason": line["reason"], "fields": line["fields"]}
    revision = _revision(reader, place, key, event)
    if revision is not None or not batch["account"].get("duplicate"):
        return told | {"outcome": "accepted", "revision": revision}
    return told | {"outcome": "duplicate", "reason": "duplicate"}


def _batch(reader: TopicReader, place: Place, slots: int) -> Any:
    """The ledger's record of the batch that judged the change; None = not judged yet."""
    slot = topics.slot_of(topics.stream_in(place[0]) or "", place[1], slots)
    for message in reader.read(topics.LEDGER, slot):
        record = envelopes().codec.decode(message.value() or b"")
        if record["positions"].get(f"{place[0]}/{place[1]}", 0) > place[2]:
            return record
    return None


def _at(reader: TopicReader, topic: str, place: Place, slot: int) -> Iterator[dict[str, Any]]:
    for message in reader.read(topic, slot):
        record = envelopes().codec.decode(message.value() or b"")
        if (record["topic"], record["partition"], record["offset"]) == place:
            yield record


def _steps(reader: TopicReader, case_id: str, slot: int) -> Iterator[dict[str, Any]]:
    """What was done about a case."""
    for message in reader.read(topics.TRAIL, slot):
        line = envelopes().codec.decode(message.value() or b"")
        if line["case_id"] == case_id:
            yield {name: line[name] for name in ("kind", "by", "note", "result")}


def _revision(reader: TopicReader, place: Place, key: bytes, event: str) -> int | None:
    """The revision that the change brought about; None = none, or one that was compacted away."""
    system, stream = topics.parse_changes(place[0]) or ("", "")
    for message in reader.read(topics.authoritative(stream), place[1]):
        if message.key() != key:
            continue
        try:
            envelope = parse_authoritative(message.headers() or [])
        except SchemaError:
            continue
        if envelope.causation == (system, event) and envelope.changed:
            return envelope.revision
    return None


def _words(found: dict[str, Any]) -> str:
    if found["outcome"] == "waiting":
        return f"{found['change']} is in the log and was not judged yet. Does the gate run, is its system paused?"
    title, meaning = OUTCOMES[found["outcome"]]
    lines = [f"{found['change']} of record {found['key']}: {title}; it {meaning}."]
    if found.get("revision"):
        lines.append(f"It brought about revision {found['revision']}.")
    elif found["outcome"] == "accepted":
        lines.append("The revision that it brought about was replaced by a newer one since.")
    if found["reason"]:
        reason = reason_words(found["reason"])
        fields = ", ".join(found.get("fields", ()))
        owners = " and ".join(found.get("owners", ()))
        lines.append(f"Why: {reason.sentence}" + (f" Fields: {fields}." if fields else ""))
        if owners:
            lines.append(f"System of record: {owners}.")
        lines.append(f"What to do: {reason.what_to_do}")
    lines.append(f"Map version {found['map_version']}, judged at {found['judged_at']} (gate time).")
    lines += [
        f"Since then: {step['kind'].replace('_', ' ')}"
        + (f" ({step['result']})" if step["result"] else "")
        + "."
        for step in found.get("since", ())
    ]
    if found.get("case"):
        lines.append(f"Case {found['case']}: `solesource quarantine show {found['case']}`.")
    return "\n".join(lines)
