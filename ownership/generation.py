"""The generation of an object's topics in the files of a map: read, and written without touching anything else.

Pure. People write the rest of the file; this is the one place of it that a command changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ownership.errors import Finding, MapRefused
from ownership.lines import Path, read_yaml

_KEYS = ("generation", "partitions")


def generations_in(documents: Mapping[str, str]) -> dict[str, int]:
    """Object to the generation of its topics; asks nothing else of the files. Raises MapRefused for broken YAML."""
    return {name: int(str(values.get("generation", 1))) for name, (_, values) in _objects(documents).items()}


def file_of(documents: Mapping[str, str], object_name: str) -> str | None:
    """The file that maps an object; None = there is none."""
    found = _objects(documents).get(object_name)
    return None if found is None else found[0]


def _objects(documents: Mapping[str, str]) -> dict[str, tuple[str, dict[str, object]]]:
    """Object to its file and what stands there."""
    found: dict[str, tuple[str, dict[str, object]]] = {}
    for file, text in sorted(documents.items()):
        values = read_yaml(text, file)[0] if file.endswith(".yaml") else None
        if isinstance(values, dict) and isinstance(values.get("object"), str):
            found[values["object"]] = file, values
    return found


def with_generation(text: str, file: str, generation: int, partitions: int) -> str:
    """The text of an object's file with this generation and so many partitions; comments and order stay.

    Raises MapRefused where it is not written line by line, so that nothing can be put in.
    """
    values, places = read_yaml(text, file)
    lines, wanted = text.splitlines(keepends=True), {"generation": generation, "partitions": partitions}
    for key in _KEYS:
        if (path := (key,)) in places:
            at = places[path] - 1
            lines[at] = re.sub(rf"^{key}:\s*[^\s#]*", f"{key}: {wanted[key]}", lines[at])
    absent = [f"{key}: {wanted[key]}\n" for key in _KEYS if (key,) not in places]
    at = places.get(("object",), 0)
    after = "".join([*lines[:at], *absent, *lines[at:]])
    if _read(after, file) != {**values, **wanted}:
        detail = "generation and partitions cannot be put into it"
        remedy = "Write one key per line, and `object:` before the others."
        raise MapRefused([Finding("map.not_by_line", file, 1, "generation", detail, remedy)])
    return after


def _read(text: str, file: str) -> object:
    try:
        values: tuple[object, dict[Path, int]] = read_yaml(text, file)
    except MapRefused:
        return None
    return values[0]
