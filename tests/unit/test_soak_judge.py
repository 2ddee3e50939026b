"""The judge of a soak names what is missing, and its chart is a chart."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from tests.chaos.flat import Sample
from tests.chaos.forged import true_history
from tests.chaos.soak_chart import MEASURES, drawing
from tests.chaos.soak_judge import ledger_findings, revision_findings

BATCHES = [line for line in true_history() if line["kind"] == "batch"]


def revision(key: str, number: int, **values: Any) -> dict[str, Any]:
    return {"key": key, "revision": number, "values": values}


def test_a_true_ledger_is_counted() -> None:
    said, total, ends = ledger_findings(BATCHES)
    assert said == []
    assert (total["received"], total["accepted"], total["revisions"]) == (13, 6, 7)
    assert ends["changes.crm.c/0"] == 5


def test_a_ledger_that_misses_a_batch_or_a_change_is_found_out() -> None:
    assert "does not follow" in ledger_findings([BATCHES[0], *BATCHES[2:]])[0][0]
    embellished = BATCHES[0] | {"account": BATCHES[0]["account"] | {"accepted": 3}}
    assert "more or fewer outcomes" in ledger_findings([embellished])[0][0]
    twice = [BATCHES[0], BATCHES[0]]
    assert "does not follow" in ledger_findings(twice)[0][0]


def test_revisions_are_without_a_gap_and_end_with_what_was_written_last() -> None:
    told = [revision("A", 1, name="1"), revision("B", 1, name="x"), revision("A", 2, name="2")]
    assert revision_findings(told, {("A", "name"): "2", ("B", "name"): "x"}) == ([], 3)
    assert revision_findings([told[0], told[0]], {})[0] == ["A: revision 1 after 1"]
    assert revision_findings([told[2]], {})[0] == ["A: revision 2 after 0"]
    assert revision_findings(told, {("A", "name"): "3"})[0] == ["A: name is 2, its owner wrote 3 last"]
    assert revision_findings([], {("A", "name"): "3"})[0] == ["A: name is None, its owner wrote 3 last"]


def test_the_chart_has_a_line_per_process_and_measure_and_one_per_kill() -> None:
    lives = [[Sample(t, t, 100.0 + t, 40, 9, 80) for t in range(0, 120, 10)] for _ in range(3)]
    lives[1][0] = Sample(0, 0, 90.0, 40, 9, -1)  # it did not say yet
    image = ET.fromstring(drawing(lives, [60.0], "two minutes & more"))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    assert len(image.findall(f"{space}polyline")) == 3 * len(MEASURES)
    dashed = [line for line in image.findall(f"{space}line") if line.get("stroke-dasharray")]
    assert len(dashed) == len(MEASURES)
    title = image.find(f"{space}title")
    assert title is not None and title.text == "two minutes & more"
    assert drawing([], [], "nothing").startswith("<svg")
