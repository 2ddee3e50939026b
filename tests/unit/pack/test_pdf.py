"""The PDF: its sentences are looked for in its bytes, and its pages are counted."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from reportlab import rl_config

from broker.pack.facts import Conflict, PackWaiver
from broker.pack.outline import Bars, Grid, Heading, Said, outline
from broker.pack.pdf import LOST, pack_pdf
from broker.store.engine import Engine
from tests.unit.pack.quarter import entry, fill, made, the_map
from tests.unit.pack.test_html import EVIL, poisoned

SHOWN = re.compile(rb"\(((?:\\.|[^\\()])*)\) Tj( T\*| ET)?", re.DOTALL)


@pytest.fixture(autouse=True)
def _readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages as they are drawn; ASCII stands in them as itself."""
    monkeypatch.setattr(rl_config, "pageCompression", 0)


def read(file: bytes) -> str:
    """What the pages show, its lines joined; a line may come in pieces."""
    pieces = [
        re.sub(rb"\\([()\\])", rb"\1", piece) + (b" " if end else b"") for piece, end in SHOWN.findall(file)
    ]
    return " ".join(b"".join(pieces).decode("latin-1").split())


def pages(file: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", file))


def test_the_sentences_of_the_pack_stand_in_the_file(store: Engine) -> None:
    """All that the outline holds, so all that the HTML file says, in the same order."""
    fill(store)
    pack = made(store)
    file = pack_pdf(pack)
    assert file.startswith(b"%PDF-") and file.rstrip().endswith(b"%%EOF")
    shown, said, place = read(file), outline(pack), 0
    blocks = [block for section in said.sections for block in (section.title, *section.blocks)]
    for block in (said.title, said.introduction, *said.lead, *said.also, *said.overview, *blocks):
        match block:
            case Grid():
                words = [*block.heading, *(cell.words for row in block.rows for cell in row)]
            case Bars():
                words = [block.words, *(text for bar in block.bars for text in (bar.label, bar.shown))]
            case Said() | Heading():
                words = [block.words]
        places = [shown.find(one, place) for one in words]
        assert -1 not in places, (words, places)
        place = min(places)


def test_each_object_begins_a_page(store: Engine) -> None:
    fill(store)
    file = pack_pdf(made(store))
    assert 3 <= pages(file) <= 6
    assert f"page {pages(file)}" in read(file)
    assert f"page {pages(file) + 1}" not in read(file)


def test_the_same_pack_is_the_same_bytes(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    monkeypatch.setattr(rl_config, "pageCompression", 1)
    pack = made(store)
    assert pack_pdf(pack) == pack_pdf(pack)
    assert pack_pdf(replace(pack, map_version=8)) != pack_pdf(pack)


def test_whatever_a_text_contains_it_is_text(store: Engine) -> None:
    fill(store)
    shown = read(pack_pdf(poisoned(made(store))))
    assert shown.count(EVIL) > 10
    assert "49" not in shown.replace(EVIL, "")


def test_letters_of_central_europe_are_shown_and_others_are_told_to_be_missing(store: Engine) -> None:
    pack = made(store)
    assert LOST not in read(pack_pdf(replace(pack, contact="Łukasz Č, Übersee")))
    shown = read(pack_pdf(replace(pack, contact="Zażec 東京")))
    assert "Steward: sales-operations, Zazec ??." in shown
    assert LOST in shown


def test_a_text_longer_than_a_page_and_many_bars_go_over_to_the_next(store: Engine) -> None:
    pack = made(store)
    long = "word " * 3_000 + "w" * 3_000 + " the end"
    one = replace(
        pack.objects[0],
        description=long,
        waivers=(PackWaiver("what", "owner", long, 0),),
        conflicts=tuple(Conflict(f"system-{number}", "not_owner", 1) for number in range(150)),
    )
    file = pack_pdf(replace(pack, objects=(one,)))
    assert pages(file) > 10
    assert read(file).count("the end") == 2
    assert read(file).count("system-149") == 2


def test_nothing_measured_is_said(store: Engine) -> None:
    """I9."""
    shown = read(pack_pdf(made(store)))
    assert "Nothing was ever measured of 3 promises" in shown
    assert "Nothing was judged in this period, so nothing is known about held writes." in shown


def test_two_hundred_objects_have_their_pages(store: Engine) -> None:
    pack = made(store, ownership_map=the_map(*(entry(f"object_{number:03}") for number in range(200))))
    file = pack_pdf(pack)
    assert pages(file) > 200
    assert "object_199" in read(file)
