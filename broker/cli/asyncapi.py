"""`solesource contract asyncapi`: the topics of an object as an AsyncAPI document, for catalogues and generators.

https://www.asyncapi.com/docs/reference/specification/v3.1.0
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from broker import topics
from broker.cli.files import settings_of
from broker.cli.output import CommandRefused
from broker.gate.project import Projection
from broker.rules import Rules, rules_of
from ownership.access import Operation, Purpose, grants
from ownership.map import ObjectMap
from schemas.contract import AvroSchema

VERSION = "3.1.0"
AVRO = "application/vnd.apache.avro+json;version=1.9.0"
_TEXT = {"type": "string"}
_OF_CHANGES = {
    "ce_specversion": "1.0",
    "ce_id": "<kind>:<incarnation>:<value>[/<rest>], the source version",
    "ce_source": "/<system>, as in the topic",
    "ce_type": "<object>.upsert or <object>.delete",
    "ce_time": "RFC 3339: when the change happened in the source",
    "ce_fields": "* = the whole record, otherwise the fields that this change sets, comma separated",
    "ce_unavailable": "fields that the source could not read",
}
_OF_RECORDS = {
    "ce_specversion": "1.0",
    "ce_id": "<object>/<key>@<revision>",
    "ce_source": "/solesource",
    "ce_type": "<object>.authoritative or <object>.deleted",
    "ce_time": "RFC 3339: when the change happened in its source",
    "ce_causationid": "<system>/<event id> of the change that caused it",
    "ce_revision": "+1 each time; never apply a lower one than you have applied",
    "ce_changed": "fields that differ from the revision before, comma separated",
    "ce_owners": "per system of record its last accepted event",
    "ce_decision": "<map version>:<append time of the change in ms>",
    "ce_reassert": "<system>:<fields>: that system alone writes them again",
}
_SOMETIMES = ("ce_unavailable", "ce_fields", "ce_reassert")


def asyncapi(
    object_name: Annotated[str, typer.Argument(metavar="OBJECT", help="The object, such as customer.")],
    out: Annotated[Path | None, typer.Option(help="Write it to this file, and say nothing.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the map; default SOLESOURCE_MAP_DIR.")
    ] = None,
) -> None:
    """Write an AsyncAPI document of an object's topics, in JSON."""
    settings = settings_of(folder)
    rules = rules_of(settings.map_documents(), 0)
    if object_name not in rules.ownership_map.objects:
        known = ", ".join(sorted(rules.ownership_map.objects)) or "none"
        msg = (
            f"the map has no object {object_name}; it has {known} [contract.no_object] Look into its folder."
        )
        raise CommandRefused(msg)
    text = json.dumps(document_of(rules, object_name, settings.partitions), indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")


def document_of(rules: Rules, name: str, partitions: int) -> dict[str, Any]:
    """The document: what the gate receives and sends of an object, from whom and for whom."""
    entry, reader = rules.ownership_map.objects[name], rules.readers[name]
    plans = {plan.name: plan for plan in topics.plan(rules.ownership_map, partitions=partitions, slots=1)}
    own = topics.authoritative(topics.stream_of(name, entry.generation))
    written = {
        topics.changes(grant.system, topics.stream_of(name, entry.generation)): grant.system
        for grant in grants(rules.ownership_map)
        if grant.object == name and grant.operation is Operation.WRITE and grant.purpose is Purpose.CHANGES
    }
    delivered = {topics.deliveries_of(one.reading): one for one in rules.projections[name]}
    schemas: dict[str, AvroSchema] = dict.fromkeys([own, *written], reader.contract.schema)
    schemas |= {topic: one.document for topic, one in delivered.items()}
    words = {own: "Every record as its owners have it.", **_words(entry, written, delivered)}
    return {
        "asyncapi": VERSION,
        "info": {
            "title": f"SoleSource: {name}",
            "version": str(reader.contract.schema_id),
            "description": entry.description,
        },
        "defaultContentType": "avro/binary",
        "channels": {
            _name(topic): {
                "address": topic,
                "title": topic,
                "description": words[topic],
                "messages": {"record": _message(entry, topic, schemas[topic], changes=topic in written)},
                "bindings": {"kafka": _kafka(plans[topic])},
            }
            for topic in sorted(schemas)
        },
        "operations": {
            _name(topic): {
                "action": "receive" if topic in written else "send",
                "channel": {"$ref": f"#/channels/{_name(topic)}"},
                "summary": words[topic],
            }
            for topic in sorted(schemas)
        },
    }


def _name(topic: str) -> str:
    return topic.replace(".", "-")


def _words(
    entry: ObjectMap, written: Mapping[str, str], delivered: Mapping[str, Projection]
) -> dict[str, str]:
    found = {
        topic: f"What {one.reading.system} may read of every record." for topic, one in delivered.items()
    }
    for topic, system in written.items():
        owned = [name for name in entry.fields if entry.owner_of(name) == system]
        found[topic] = f"Changes of {system}" + (
            f", the system of record of {_listed(owned)}."
            if owned
            else ", which owns nothing of it: what differs is held."
        )
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _message(entry: ObjectMap, topic: str, schema: AvroSchema, *, changes: bool) -> dict[str, Any]:
    told = _OF_CHANGES if changes else _OF_RECORDS
    return {
        "name": topic,
        "contentType": "avro/binary",
        "headers": {
            "type": "object",
            "properties": {name: {**_TEXT, "description": words} for name, words in told.items()},
            "required": [name for name in told if name not in _SOMETIMES],
        },
        "payload": {"schemaFormat": AVRO, "schema": _plain(schema)},
        "bindings": {
            "kafka": {
                "key": {
                    **_TEXT,
                    "description": f"{entry.key_field}: UTF-8 in Unicode form NFC, 1 to 512 bytes",
                },
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "bindingVersion": "0.5.0",
            }
        },
    }


def _plain(schema: AvroSchema) -> AvroSchema:
    """A schema without what its parser has noted in it, and with its namespaces apart, as the format asks for."""
    if isinstance(schema, list):
        return [_plain(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _plain(part) for name, part in schema.items() if not name.startswith("__")}
    if found.get("type") in ("record", "enum", "fixed") and "." in found["name"]:
        found["namespace"], _, found["name"] = found["name"].rpartition(".")
    return found


def _kafka(plan: topics.TopicPlan) -> dict[str, Any]:
    told: dict[str, Any] = {"cleanup.policy": [plan.settings["cleanup.policy"]]}
    for name in ("retention.ms", "delete.retention.ms", "max.message.bytes"):
        if name in plan.settings:
            told[name] = int(plan.settings[name])
    return {
        "topic": plan.name,
        "partitions": plan.partitions,
        "topicConfiguration": told,
        "bindingVersion": "0.5.0",
    }
