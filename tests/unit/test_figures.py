"""The drawings of the figures show results.json as it is."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.charts import HELD, IMAGES, NOT_HELD, drawings, drawn
from benchmarks.rows import Row


def test_the_drawings_in_the_docs_are_those_of_results_json() -> None:
    for name, text in drawings().items():
        assert (IMAGES / name).read_text("utf-8") == text, "draw them again: python -m benchmarks.charts"


def test_a_row_is_drawn_with_its_peer_and_its_bar() -> None:
    held = Row("a <fast> one", 200.0, "peer", 100.0, 2.0, "changes/s", ">= 1.5x", held=True)
    missed = Row("a slow one", 160.0, "none", 0.0, 0.0, "ms", "<= 150", held=False)
    reported = Row("nobody beside it", 3.0, "none", 0.0, 0.0, "changes/s", "reported", held=True)
    root = ET.fromstring(drawn("Title", [held, missed, reported]))  # noqa: S314 - our own text
    text = " ".join(root.itertext())
    assert "a <fast> one" in text and "200 changes/s = 2x" in text and "160 ms" in text
    assert "nobody beside it" not in text, "a figure without peer and bar has no length, nor a mark to reach"
    colours = [element.get("fill") for element in root.iter() if element.tag.endswith("rect")][1:]
    assert colours == [HELD, NOT_HELD]
