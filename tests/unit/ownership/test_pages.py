"""The map for people: what the pages say is what the compiled map says, and nothing in it breaks out of its place."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from broker.cli.documents import page
from broker.cli.root import app
from broker.rules import rules_of
from ownership.drawing import drawn
from ownership.map import OwnershipMap
from ownership.pages import matrix, pages, which
from tests.estate import MAP_DIR, map_documents
from tests.unit.ownership.test_load import SLA, loaded

MEANINGS = {"customer": {"name": "What they are called."}}


@pytest.fixture
def law() -> OwnershipMap:
    systems = {
        "crm": {"read": "all"},
        "erp": {"read": "all"},
        "billing": {"read": ["name", "email"], "masked": ["email"], "on_violation": "reject"},
    }
    rule = {"field": "phone", "to": "erp", "valid_from": "2026-12-01T00:00:00Z"}
    return loaded(slas=[SLA], systems=systems, handover=[rule], conflicts="Sales | finance <b>decide</b>.")


def test_an_objects_page(law: OwnershipMap) -> None:
    found = pages(law, MEANINGS, "Told.")
    assert sorted(found) == ["customer.md", "index.md"]
    text = found["customer.md"]
    assert "| `name` | What they are called. |  | crm | billing, crm, erp |" in text
    assert "| `phone` |  |  | crm until 2026-12-01 00:00 UTC, then erp |" in text
    assert "| `email` |  |  | crm | billing (digest), crm, erp |" in text
    assert "reads name; gets a digest of email; what it writes to somebody else's field is refused." in text
    assert "| crm -> erp | 5s | 1m | - | 1% over 10m | 30m | customer-sync |" in text
    assert '-->|"2"| r_billing' in text and 'w_crm["' in text


def test_an_objects_page_says_what_is_not(law: OwnershipMap) -> None:
    systems = {
        "crm": {"read": "all"},
        "erp": {"read": "none"},
        "billing": {"read": [], "state": "observe"},
    }
    text = pages(loaded(fields={}, systems=systems), {}, "Told.")["customer.md"]
    assert "(`erp`) reads nothing; what it writes" in text
    assert "(`billing`) reads nothing; is only watched: what it sends has no effect." in text
    assert "Nothing is promised." in text and "Decides:" not in text
    assert '-->|"0"|' not in text and "r_billing" not in text
    masked = {"billing": {"read": ["email"], "masked": ["email"]}}
    text = pages(loaded(systems=masked), {}, "Told.")["customer.md"]
    assert "(`billing`) gets a digest of email; what it writes" in text


def test_an_objects_page_says_who_decides_and_what_is_expected(law: OwnershipMap) -> None:
    (sla,) = law.objects["customer"].slas
    entry = replace(law.objects["customer"], slas=(replace(sla, expect_every_ms=60_000, calendar="office"),))
    process = {"decides": "sales", "within": "1d"}
    decided = loaded(conflict_process=process).objects["customer"].conflict_process
    entry = replace(entry, conflict_process=decided)
    text = pages(replace(law, objects={"customer": entry}), {}, "Told.")["customer.md"]
    assert "| something every 1m, by the calendar office |" in text
    assert "Decides: sales, within 1d" in text


def test_every_field_and_system_is_on_the_pages(law: OwnershipMap) -> None:
    found = pages(law, {}, "Told.")
    for name in law.objects["customer"].fields:
        assert f"| `{name}` |" in found["customer.md"]
    for system in law.systems:
        assert f"| {system} |" in found["index.md"] and f"(`{system}`)" in found["customer.md"]


def test_the_matrix_says_the_same(law: OwnershipMap) -> None:
    heading, *rows = matrix(law)
    assert heading == ["object", "field", "class", "system of record", "billing", "crm", "erp"]
    by_field = {row[1]: row[3:] for row in rows}
    assert by_field["name"] == ["crm", "reads", "owns", "reads"]
    assert by_field["email"] == ["crm", "digest", "owns", "reads"]
    assert by_field["credit_limit"] == ["erp", "", "reads", "owns"]


def test_what_is_written_in_the_map_is_not_taken_for_markup(law: OwnershipMap) -> None:
    bad = '<script>alert(1)</script> | ](javascript:alert(2)) "'
    entry = replace(
        law.objects["customer"],
        description=bad,
        conflicts=bad,
        steward_team=bad,
        steward_contact="javascript:alert(3)",
    )
    systems = {name: replace(one, title=bad, contact=bad) for name, one in law.systems.items()}
    worst = replace(law, objects={"customer": entry}, systems=systems)
    for name, text in pages(worst, {"customer": {"name": bad}}, "Told.").items():
        html = page(worst, name.removesuffix(".md"), text)
        assert "<script" not in html and 'href="javascript:' not in html, name
        assert html.count("</svg>") == (name != "index.md")


def test_the_drawing_is_xml_and_says_what_it_shows(law: OwnershipMap) -> None:
    root = ET.fromstring(drawn(law.objects["customer"], {"billing": "Bills & <more>"}))  # noqa: S314 - our own
    label = root.attrib["aria-label"]
    assert "erp owns 1 field" in label and "Bills & <more> reads 2 fields" in label
    assert len(root.findall(".//rect")) == 6


def test_the_pages_of_the_demo(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["map", "docs", str(tmp_path / "site"), "--folder", str(MAP_DIR)])
    assert said.exit_code == 0 and "2 pages" in said.stdout, said.output
    html = (tmp_path / "site" / "customer.html").read_text()
    assert "<svg" in html and "mermaid" not in html and "DRAWING" not in html
    assert 'href="customer.html"' in (tmp_path / "site" / "index.html").read_text()
    said = CliRunner().invoke(
        app, ["map", "docs", str(tmp_path / "md"), "--folder", str(MAP_DIR), "--format", "markdown"]
    )
    assert said.exit_code == 0 and (tmp_path / "md" / "index.md").is_file()
    out = tmp_path / "matrix.csv"
    assert CliRunner().invoke(app, ["map", "matrix", str(MAP_DIR), "--out", str(out)]).exit_code == 0
    rows = list(csv.reader(out.read_text().splitlines()))
    assert len(rows) == 1 + len(rules_of(map_documents(), 1).ownership_map.objects["customer"].fields)


def test_which_map_it_is(law: OwnershipMap) -> None:
    assert which(law, date(2026, 11, 27)) == "By the ownership map, version 7, as of 2026-11-27."
    assert which(replace(law, version=0), date(2026, 11, 27)).startswith("By the ownership map, files ")
