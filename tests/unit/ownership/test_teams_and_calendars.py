"""What `systems.yaml` says beside systems: teams and calendars, compiled, and no change of them unsaid."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest
import yaml

from ownership.changes import changes
from ownership.document import SystemsDocument, clock_minute, clock_text
from ownership.json_schema import Kind
from ownership.load import load_advice, load_map
from ownership.map import Calendar, OwnershipMap, Team
from tests.gate_parts import FIELDS, systems_document
from tests.unit.ownership.test_json_schema import fits
from tests.unit.ownership.test_load import SLA, codes, documents

OFFICE = {"time_zone": "Europe/Berlin", "weekdays": ["friday", "monday"], "from": "08:00", "to": "24:00"}
TEAM = {"contact": "mailto:sales@example.com", "members": ["ana", "sam"]}
CONTRACTS = {"customer": dict.fromkeys(FIELDS)}


def texts(calendar: dict[str, Any] | None = None, **customer: Any) -> dict[str, str]:
    beside = {"teams": {"sales-operations": TEAM}, "calendars": {"office": OFFICE | (calendar or {})}}
    return documents(**customer) | {
        "systems.yaml": yaml.safe_dump(systems_document(billing=["customer"]) | beside)
    }


def compiled() -> OwnershipMap:
    return load_map(texts(), CONTRACTS, version=1)


def said(before: OwnershipMap, after: OwnershipMap) -> list[str]:
    return [change.words for change in changes(before, after)]


def test_what_is_compiled() -> None:
    found = compiled()
    members = frozenset({"ana", "sam"})
    assert found.teams == {
        "sales-operations": Team(name="sales-operations", contact="mailto:sales@example.com", members=members)
    }
    assert found.calendars == {
        "office": Calendar(
            name="office",
            time_zone="Europe/Berlin",
            weekdays=("monday", "friday"),
            from_minute=480,
            to_minute=1440,
        )
    }


def test_a_promise_may_name_a_calendar_that_is_listed() -> None:
    promised = {**SLA, "freshness": {"expect_every": "1d", "calendar": "office"}}
    (sla,) = load_map(texts(slas=[promised]), CONTRACTS, version=1).objects["customer"].slas
    assert sla.calendar == "office"
    assert codes(documents(slas=[promised])) == ["map.unlisted_calendar"]


@pytest.mark.parametrize("ends", ["07:59", "08:00"])
def test_a_day_ends_after_it_begins(ends: str) -> None:
    assert codes(texts({"to": ends})) == ["map.calendar_hours"]


@pytest.mark.parametrize(
    "wrong",
    [{"to": 1080}, {"to": "6pm"}, {"weekdays": []}, {"weekdays": ["someday"]}, {"time_zone": "in Berlin"}],
)
def test_the_schema_takes_no_calendar_that_is_refused(wrong: dict[str, Any]) -> None:
    values = {"systems": {}, "calendars": {"office": OFFICE}}
    assert fits(Kind.SYSTEMS, values) and SystemsDocument.model_validate(values)
    assert not fits(Kind.SYSTEMS, {**values, "calendars": {"office": OFFICE | wrong}})
    assert codes(texts(wrong))


@pytest.mark.parametrize(("text", "minute"), [("00:00", 0), ("08:05", 485), ("24:00", 1440)])
def test_a_time_of_day(text: str, minute: int) -> None:
    assert clock_minute(text) == minute and clock_text(minute) == text


@pytest.mark.parametrize("text", ["", "8:00", "24:01", "08:60", "08-00", 1080, None, "\u0660\u0668:00"])
def test_not_a_time_of_day(text: Any) -> None:
    with pytest.raises(ValueError, match="in quotes"):
        clock_minute(text)


@pytest.mark.parametrize("name", [field.name for field in fields(Calendar) if field.name != "name"])
def test_nothing_that_a_calendar_says_changes_unsaid(name: str) -> None:
    before = compiled()
    other: Any = {"time_zone": "UTC", "weekdays": ("sunday",)}.get(name, 600)
    calendar = replace(before.calendars["office"], **{name: other})
    (sentence,) = said(before, replace(before, calendars={"office": calendar}))
    assert "instead of monday and friday 08:00 to 24:00, Europe/Berlin" in sentence


def test_a_calendar_comes_and_goes() -> None:
    full = compiled()
    empty = replace(full, calendars={})
    assert said(empty, full) == ["the calendar office is monday and friday 08:00 to 24:00, Europe/Berlin"]
    assert said(full, empty) == ["there is no calendar office any more"]


@pytest.mark.parametrize("name", [field.name for field in fields(Team) if field.name != "name"])
def test_nothing_that_a_team_says_changes_unsaid(name: str) -> None:
    before = compiled()
    other: Any = {"members": frozenset({"ana", "tom"})}.get(name, "mailto:else@example.com")
    team = replace(before.teams["sales-operations"], **{name: other})
    assert said(before, replace(before, teams={"sales-operations": team})), name


def test_a_team_comes_and_goes() -> None:
    full = compiled()
    empty = replace(full, teams={})
    assert said(empty, full) == [
        "ana and sam may approve for the team sales-operations",
        "the team sales-operations is asked at mailto:sales@example.com",
    ]
    assert said(full, empty) == ["nobody speaks for the team sales-operations any more"]


def test_of_teams_nothing_is_said_where_none_is_listed() -> None:
    def gone(found: dict[str, str]) -> list[str]:
        advised = load_advice(found, CONTRACTS, today=date(2026, 11, 27))
        return [one.detail for one in advised if one.code == "map.steward_gone"]

    other = {"team": "finance", "contact": "mailto:finance@example.com"}
    assert gone(documents(steward=other)) == gone(texts()) == []
    assert len(gone(texts(steward=other))) == 1


@pytest.mark.parametrize(
    ("begins", "done", "advised"),
    [("2026-11-26", False, 1), ("2026-11-26", True, 0), ("2026-11-27", False, 0), ("2026-12-01", False, 0)],
)
def test_a_handover_that_is_over_is_declared_as_done(begins: str, done: bool, advised: int) -> None:
    rule = {"field": "email", "to": "erp", "valid_from": f"{begins}T00:00:00Z", "done": done}
    found = load_advice(texts(handover=[rule]), CONTRACTS, today=date(2026, 11, 27))
    assert [one.code for one in found].count("map.handover_not_done") == advised


def test_a_system_whose_contact_cannot_be_written_to() -> None:
    found = texts()
    found["systems.yaml"] = found["systems.yaml"].replace("mailto:erp@example.com", "ask Eve")
    advised = load_advice(found, CONTRACTS, today=date(2026, 11, 27))
    assert "systems.erp.contact" in {one.path for one in advised if one.code == "map.contact_unusable"}
