"""The JSON Schema of a map's files, for editors: they complete keys, and mark what would be refused.

Pure. Made from the models that read the files, so neither knows a key that the other does not.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from ownership.document import ObjectDocument, SystemsDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Kind(StrEnum):
    """Which file."""

    OBJECT = "object"
    SYSTEMS = "systems"


_MODELS: dict[Kind, tuple[type[BaseModel], str]] = {
    Kind.OBJECT: (ObjectDocument, "SoleSource: one object of the ownership map"),
    Kind.SYSTEMS: (SystemsDocument, "SoleSource: the systems of the ownership map"),
}


def json_schema(kind: Kind) -> dict[str, Any]:
    """The schema of one kind of file, draft 2020-12."""
    model, title = _MODELS[kind]
    return {"$schema": DIALECT, **model.model_json_schema(), "title": title}
