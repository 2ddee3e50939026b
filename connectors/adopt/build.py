"""Makes what maps each object's topic, from the checked configuration. Reads the JSON Schemas that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs

from connectors.adopt.avro_values import AvroReader
from connectors.adopt.errors import Unmapped
from connectors.adopt.mapping import Check, Mapper
from connectors.adopt.settings import TopicMapping
from connectors.adopt.source import Adopted
from connectors.sdk.adapter import Context
from connectors.sdk.errors import ConfigInvalid

_SCHEMA_LENGTH_MAX = 256 * 1024


def adopted_of(
    context: Context, mappings: Mapping[str, TopicMapping], avro: AvroReader | None = None
) -> dict[str, Adopted]:
    """Object -> what makes changes of its topic's records, those in Avro as `avro` reads them. Raises ConfigInvalid."""
    avro = avro or AvroReader()
    mappers = {
        name: Mapper(name, mapping, context.contracts[name], _check(context.folder, mapping))
        for name, mapping in mappings.items()
    }
    return {name: Adopted(name, mapping, mappers[name], avro) for name, mapping in mappings.items()}


def _check(folder: Path, mapping: TopicMapping) -> Check | None:
    if mapping.json_schema is None:
        return None
    path = folder / mapping.json_schema
    try:
        text = path.read_text("utf-8")
        if len(text) > _SCHEMA_LENGTH_MAX:
            raise ConfigInvalid(f"{path}: longer than {_SCHEMA_LENGTH_MAX} characters")
        validator = jsonschema_rs.validator_for(json.loads(text))
    except (OSError, ValueError) as error:
        msg = f"{path}: not a JSON Schema that can be used ({type(error).__name__})"
        raise ConfigInvalid(msg, "References to other files are not followed.") from error

    def check(row: Mapping[str, Any]) -> None:
        error = next(validator.iter_errors(row), None)
        if error is not None:
            place = "/".join(map(str, error.instance_path)) or "the row"
            rule = "/".join(map(str, error.schema_path))
            raise Unmapped(f"{place} does not keep to the JSON Schema ({rule})")

    return check
