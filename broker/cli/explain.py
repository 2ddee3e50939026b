"""`solesource explain` and `solesource status`: where a value comes from, and whether each sync is current."""

from typing import Annotated, Any

import typer

from broker import topics
from broker.cli.output import DIFFERENCES, AsJson, CommandRefused, show, table_of
from broker.gate.route import json_text
from broker.kafka.reading import TopicReader
from broker.rules import Rules, rules_of
from broker.settings import Settings
from broker.store.engine import open_store, reading
from broker.store.ledger import account
from broker.store.syncs import read_syncs
from schemas.authoritative import AuthoritativeEnvelope, parse_authoritative
from schemas.envelope import format_time
from schemas.keys import canonical_key, partition_of


def explain(
    record: Annotated[str, typer.Argument(help="OBJECT/KEY, such as customer/C-00042.")],
    field: Annotated[str | None, typer.Argument(help="One field; all when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say where the value in force comes from: owner, source version, revision, map version, when."""
    settings = Settings()
    rules = rules_of(settings.map_documents(), 0)
    object_name, _, key = record.partition("/")
    if object_name not in rules.ownership_map.objects or not key:
        msg = f"{record} is not OBJECT/KEY of a mapped object [explain.unknown] Try customer/C-00042."
        raise CommandRefused(msg)
    stream = topics.streams_of(rules.ownership_map)[object_name]
    found = _newest(settings, topics.authoritative(stream), canonical_key(key))
    if found is None:
        msg = (
            f"there is no record {record} [explain.no_record] It was never created, or its creation was held."
        )
        raise CommandRefused(msg)
    rows = _rows(rules, object_name, *found)
    if field is not None and field not in {row["field"] for row in rows}:
        msg = f"{object_name} has no field {field} [explain.unknown_field] See `solesource map show`."
        raise CommandRefused(msg)
    rows = [row for row in rows if field in (None, row["field"])]
    columns = {"field": "Field", "value": "Value", "owner": "Owner", "source_version": "Accepted from"}
    envelope = found[0]
    title = f"{record}, revision {envelope.revision}, map version {envelope.map_version}"
    show(
        {
            "record": record,
            "revision": envelope.revision,
            "map_version": envelope.map_version,
            "changed_at": format_time(envelope.time_ms).decode(),
            "deleted": envelope.deleted,
            "fields": rows,
        },
        as_json=as_json,
        table=table_of(rows, columns, title),
    )


def _newest(settings: Settings, topic: str, key: bytes) -> tuple[AuthoritativeEnvelope, bytes | None] | None:
    reader = TopicReader(settings.access("control"))
    try:
        partition = partition_of(key, len(reader.partitions(topic)))
        newest = None
        for message in reader.read(topic, partition):
            if message.key() == key:
                newest = message
    finally:
        reader.close()
    return None if newest is None else (parse_authoritative(newest.headers() or []), newest.value())


def _rows(
    rules: Rules, object_name: str, envelope: AuthoritativeEnvelope, value: bytes | None
) -> list[dict[str, Any]]:
    entry = rules.ownership_map.objects[object_name]
    values = rules.readers[object_name].decode(value) if value is not None else {}
    named = {
        name: (owner, event) for owner, event, names in envelope.owners if names is not None for name in names
    }
    rest = next(((owner, event) for owner, event, names in envelope.owners if names is None), ("", ""))
    return [
        {
            "field": name,
            "value": json_text(values.get(name)),
            "owner": entry.owner_of(name),
            "source_version": named.get(name, rest)[1],
        }
        for name in entry.fields
    ]


def status(as_json: AsJson = False) -> None:
    """Say in one sentence each whether every sync is current; exit status 2 when one is not."""
    with reading(open_store(Settings().store_url)) as connection:
        syncs, balance = read_syncs(connection), account(connection)
    document = {
        "syncs": [
            {"object": s.object, "source": s.source, "sink": s.sink, "state": s.state, "sentence": s.sentence}
            for s in syncs
        ],
        "account": {
            "received": balance.received,
            "outcomes": dict(balance.outcomes),
            "balances": balance.balances,
        },
    }
    lines = [f"{sync.sentence}" for sync in syncs] or [
        "Nothing is promised yet: the map has no SLA, or control has not run."
    ]
    show(document, as_json=as_json, text="\n".join(lines))
    if not balance.balances or any(sync.state not in ("up_to_date", "quiet") for sync in syncs):
        raise typer.Exit(DIFFERENCES)
