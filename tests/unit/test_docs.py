"""Pages of the reference that list what the code has: neither may have more than the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from broker import topics
from broker.cli.root import app
from broker.gate.decision import Outcome
from broker.gate.reason import Reason
from broker.rules import rules_of
from broker.settings import Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
MAP_DIR = ROOT / "broker" / "demo" / "map"
DAY_MS = 86_400_000


def rows(page: str, heading: str = "") -> list[list[str]]:
    """The cells of the first table below a heading."""
    text = (REFERENCE / page).read_text("utf-8").partition(heading)[2]
    table = re.search(r"^\|[ -|]+\|\n((?:\|.*\n)+)", text[text.index("|---") :], re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def test_settings() -> None:
    documented = {row[0].strip("`"): row[1:] for row in rows("settings.md", "# Settings")}
    fields = {
        str(field.validation_alias or f"SOLESOURCE_{name.upper()}"): field
        for name, field in Settings.model_fields.items()
    }
    assert documented.keys() == fields.keys()
    for name, field in fields.items():
        default, meaning = documented[name]
        assert default == (f"`{field.default}`" if field.default not in (None, "") else "none"), name
        assert field.description is None or field.description.rstrip(".") in meaning, name


def commands(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, child in getattr(node, "commands", {}).items():
        yield from commands(child, (*path, name))
    if not hasattr(node, "commands"):
        yield " ".join(("solesource", *path)), node


def test_commands() -> None:
    documented = {row[0].strip("`"): row for row in rows("cli.md", "# Commands")}
    found = dict(commands(typer.main.get_command(app)))
    assert documented.keys() == found.keys()
    for name, command in found.items():
        options = {one.opts[0] for one in command.params if one.param_type_name == "option"} - {"--help"}
        assert set(re.findall(r"`(--[a-z-]+)`", documented[name][2])) == options, name
        assert documented[name][3] == (command.help or "").strip().splitlines()[0], name


def test_commands_that_pages_show_exist() -> None:
    names = {name for name, _ in commands(typer.main.get_command(app))}
    for page in (ROOT / "docs").rglob("*.md"):
        for line in re.findall(r"^solesource ([a-z -]+)", page.read_text("utf-8"), re.MULTILINE):
            words = line.split()
            assert {f"solesource {words[0]}", f"solesource {' '.join(words[:2])}"} & names, (page, line)


def test_topics() -> None:
    documents = {path.name: path.read_text("utf-8") for path in MAP_DIR.iterdir() if path.is_file()}
    ownership_map = rules_of(documents, 1).ownership_map
    planned = {}
    for plan in topics.plan(ownership_map, partitions=3, slots=5):
        systems, objects = "|".join(ownership_map.systems), "|".join(ownership_map.objects)
        name = re.sub(
            rf"\.({objects})$", ".<object>", re.sub(rf"\.({systems})(?=\.|$)", ".<system>", plan.name)
        )
        planned[f"`{name}`"] = plan
    documented = {row[0]: row[1:] for row in rows("topics.md", "# Topics")}
    assert documented.keys() == planned.keys()
    for name, plan in planned.items():
        partitions, kept, bytes_max = documented[name]
        assert {"P": 3, "S": 5, "1": 1}[partitions] == plan.partitions, name
        assert kept == kept_in_words(plan), name
        assert bytes_max == ("4 MiB" if "max.message.bytes" in plan.settings else "default"), name


def kept_in_words(plan: topics.TopicPlan) -> str:
    if plan.settings["cleanup.policy"] == "compact":
        whole_ms = plan.settings.get("min.compaction.lag.ms")
        assert whole_ms in (None, str(25 * 3_600_000))
        return "compacted, at least 25 hours whole" if whole_ms else "compacted"
    days = int(plan.settings["retention.ms"]) / DAY_MS
    return "for ever" if days < 0 else "1 day" if days == 1 else f"{days:g} days"


def test_outcomes_and_reasons() -> None:
    assert [row[0] for row in rows("outcomes.md", "## Outcomes")] == [f"`{outcome}`" for outcome in Outcome]
    assert rows("outcomes.md", "## Reasons") == [
        [f"`{reason.code}`", reason.sentence, reason.what_to_do] for reason in Reason
    ]


def test_the_glossary_has_every_outcome() -> None:
    glossary = (
        (ROOT / "docs" / "glossary.md").read_text("utf-8").partition("## Outcomes")[2].partition("## When")[0]
    )
    words = re.findall(r"^\| ([a-z ]+) \|", glossary, re.MULTILINE)[1:]
    assert words == [outcome.replace("_", " ") for outcome in Outcome]
