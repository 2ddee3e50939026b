"""YAML text to plain values, with the line of every value, refusing what YAML would hide.

Pure. A key written twice is an error here: YAML's own rule, "the last one wins", would let a map name two owners of
a field and enforce one of them unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml

from ownership.errors import Finding, MapRefused

Path = tuple[str | int, ...]
DOCUMENT_LENGTH_MAX = 1_000_000
DEPTH_MAX = 32
MERGE_KEY = "<<"
OPEN = "?"
"""Stands where somebody still has to say something: a map with it is refused."""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, which every wheel of PyYAML has: ten times as fast on a thousand files."""
_OPENS = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSES = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


@lru_cache(maxsize=2048)  # of a thousand files most are the same in the next version
def read_yaml(text: str, file: str) -> tuple[Any, dict[Path, int]]:
    """(values, line of each path). Raises MapRefused for broken YAML, repeated keys, aliases or merge keys."""
    if len(text) > DOCUMENT_LENGTH_MAX:
        raise MapRefused(
            [Finding("map.too_long", file, 1, "", f"{len(text)} characters", "Split the map by object.")]
        )
    try:
        _scan(text, file)
        return _constructed(text, file)
    except (yaml.YAMLError, ValueError) as error:  # a date such as 2026-02-30 is a ValueError
        mark = getattr(error, "problem_mark", None)
        detail = str(getattr(error, "problem", None) or error)
        line = mark.line + 1 if mark else 1
        raise MapRefused([Finding("map.yaml", file, line, "", detail, "Mend the YAML.")]) from error


def _constructed(text: str, file: str) -> tuple[Any, dict[Path, int]]:
    """The values and their lines, of one reading. Raises MapRefused for what YAML would hide."""
    lines: dict[Path, int] = {(): 1}
    findings: list[Finding] = []
    loader = _LOADER(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None, lines
        _walk(root, (), file, lines, findings)
        if findings:
            raise MapRefused(findings)
        return loader.construct_document(root), lines
    finally:
        loader.dispose()


def _scan(text: str, file: str) -> None:
    depth = 0
    for token in yaml.scan(text, Loader=_LOADER):
        line = token.start_mark.line + 1
        if isinstance(token, yaml.AliasToken):
            raise MapRefused(
                [Finding("map.alias", file, line, "", "YAML aliases are not read", "Write it out.")]
            )
        depth += isinstance(token, _OPENS) - isinstance(token, _CLOSES)
        if depth > DEPTH_MAX:
            raise MapRefused(
                [Finding("map.too_deep", file, line, "", f"nested deeper than {DEPTH_MAX}", "Write it flat.")]
            )


def _walk(node: yaml.Node, path: Path, file: str, lines: dict[Path, int], findings: list[Finding]) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in seen:
                where = dotted((*path, key))
                two_owners = key == "system_of_record" or (path and path[-1] == "fields")
                code = "map.two_owners" if two_owners else "map.repeated_key"
                detail = f"`{key}` is written twice, first in line {seen[key]}"
                findings.append(Finding(code, file, line, where, detail, "Keep one of them."))
            if key == MERGE_KEY:
                where = dotted((*path, key))
                detail = "YAML merge keys are not read, because they hide who owns what"
                findings.append(Finding("map.merge", file, line, where, detail, "Write it out."))
            seen[key] = line
            _walk(value_node, (*path, key), file, lines, findings)
            lines[(*path, key)] = line
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), file, lines, findings)


def open_places(values: Any, path: Path = ()) -> Iterator[Path]:
    """Where something is left open."""
    if values == OPEN:
        yield path
    elif isinstance(values, dict):
        for key, value in values.items():
            yield from open_places(value, (*path, str(key)))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from open_places(value, (*path, index))


def dotted(path: Path) -> str:
    """`fields.email.class` or `slas[0].latency`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
