"""docs/reference/ownership-map.md executed: its map is good, and each of its faults is found as it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from broker.rules import advice_of
from ownership.errors import Finding, MapRefused
from ownership.load import load_advice, load_map
from tests.estate import map_documents
from tests.gate_parts import FIELDS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "ownership-map.md"
CONTRACTS = {"customer": {**dict.fromkeys(FIELDS), "email": "pii"}}
TODAY = date(2026, 11, 27)
BLOCK = re.compile(r"^```(\S+) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks_of(text: str) -> dict[str, str]:
    """File name to text of the files that a page shows."""
    return {name: body for kind, name, body in BLOCK.findall(text) if kind == "yaml"}


def edited(files: dict[str, str], kind: str, body: str) -> dict[str, str]:
    """The files after one example: `diff NAME`, `yaml NAME` (a further file) or `remove` (body = name)."""
    if kind == "remove":
        return {name: text for name, text in files.items() if name != body.strip()}
    form, name = kind.split()
    if form == "yaml":
        return files | {name: body}
    lines = body.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert files[name].count(before) == 1, before
    return files | {name: files[name].replace(before, after)}


def faults(files: dict[str, str]) -> tuple[Finding, ...]:
    try:
        load_map(files, CONTRACTS, version=1)
    except MapRefused as refused:
        return refused.findings
    return ()


# --- tests


def test_the_map_of_the_page_is_good() -> None:
    top = PAGE.read_text("utf-8").partition("## What can be wrong")[0]
    assert faults(blocks_of(top)) == ()


def advice(files: dict[str, str]) -> tuple[Finding, ...]:
    return tuple(load_advice(files, CONTRACTS, today=TODAY))


Found = Callable[[dict[str, str]], tuple[Finding, ...]]


def found_as_it_says(files: dict[str, str], part: str, find: Found) -> set[str]:
    """Each example of a part of the page, tried; their codes."""
    codes = set()
    for section in part.split("\n### `")[1:]:
        code = section.partition("`")[0]
        (example, said) = BLOCK.findall(section)
        kind = "remove" if example[1] == "remove" else f"{example[0]} {example[1]}"
        found = find(edited(files, kind, example[2]))
        assert code in {finding.code for finding in found}, code
        assert said[:2] == ("text", "finding")
        assert "".join(f"{finding}\n" for finding in found) == said[2], code
        codes.add(code)
    return codes


def parts() -> tuple[str, str, str]:
    top, _, rest = PAGE.read_text("utf-8").partition("## What can be wrong")
    wrong, _, advised = rest.partition("## What is advised")
    return top, wrong, advised


def test_each_fault_of_the_page_is_found_as_it_says() -> None:
    top, wrong, _ = parts()
    assert len(found_as_it_says(blocks_of(top), wrong, faults)) >= 25


def test_each_warning_of_the_page_is_found_as_it_says() -> None:
    advised = parts()[2]
    files = blocks_of(advised)
    assert advice(files) == () and faults(files) == ()
    codes = found_as_it_says(files, advised, advice)
    assert len(codes) >= 12


def test_of_the_demos_map_nothing_is_to_be_said() -> None:
    assert advice_of(map_documents(), TODAY) == []


def test_what_is_wrong_is_said_before_what_is_advised() -> None:
    files = blocks_of(parts()[2])
    with pytest.raises(MapRefused, match=r"\[map.unlisted_system\]"):
        advice(files | {"customer.yaml": files["customer.yaml"].replace("create: crm", "create: fax")})


def test_every_code_of_the_linter_is_on_the_page() -> None:
    folder = Path(__file__).parents[3] / "ownership"
    page = PAGE.read_text("utf-8")
    codes = {
        code
        for path in folder.glob("*.py")
        for code in re.findall(
            r'(?:Finding\(|(?:finding|advice)\(\s*|code = |else (?="map))"((?:map\.)?[a-z_]+)"',
            path.read_text("utf-8"),
        )
    }
    assert len(codes) >= 15
    for code in codes:
        assert f"`map.{code.removeprefix('map.')}`" in page, code
