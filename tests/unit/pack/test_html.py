"""The HTML file, read as a browser reads it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any

from broker.pack.html import pack_html
from broker.store.engine import Engine
from tests.unit.pack.quarter import fill, made

EVIL = '<script>alert("x")</script> & \'<b onload="x">\' {{ 7 * 7 }}'
VOID = {"meta", "col", "rect", "line"}


class Read(HTMLParser):
    """The tags, the cells of the tables and the texts of the drawings of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1] != "style":
            self.texts.append(data)
            if self.open[-1] in ("td", "th"):
                self.rows[-1].append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def poisoned(value: Any) -> Any:
    """Facts in which every text is one that tries to be markup."""
    if isinstance(value, tuple):
        return tuple(poisoned(one) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: poisoned(getattr(value, one.name)) for one in fields(value)})
    return EVIL if type(value) is str else value


def test_the_figures_of_the_store_stand_in_the_page(store: Engine) -> None:
    fill(store)
    page = Read(pack_html(made(store)))
    assert page.open == []
    assert ["customer", "overdue since 2026-09-30", "2", "5", "7", "4", "2 not kept", "1"] in page.rows
    assert ["order", "due 2026-12-01", "0", "1", "1", "1", "1 not measured", "0"] in page.rows
    assert ["erp", "Another system owns this field.", "3"] in page.rows
    assert ["billing", "A reason without words here: a_new_reason.", "1"] in page.rows
    late = [
        "crm -> erp",
        "5 s, 1 min",
        "9 s, 9 s",
        "0 of 102",
        "2026-07-11",
        "not kept: slower than promised",
    ]
    assert late in page.rows
    silent = [
        "crm -> billing",
        "5 s, 1 min",
        "nothing was measured",
        "not measured",
        "-",
        "nothing was measured",
    ]
    assert silent in page.rows
    assert ["nobody", "fax"] in page.rows
    assert ["2026-09-30", "sam", "name belongs to crm."] in page.rows
    assert ["customer fax", "sales-operations", "Nobody sends faxes.", "expired 2026-10-06"] in page.rows
    assert "Held writes by system: erp, 4; billing, 1" in [one["aria-label"] for one in page.of("svg")]
    assert "5 cases are older than 7 days; the oldest is of 2026-07-01." in page.texts


def test_the_page_stands_alone(store: Engine) -> None:
    """Nothing is loaded, and nothing runs: it is opened from a mail, years later."""
    fill(store)
    text = pack_html(made(store))
    page = Read(text)
    assert {tag for tag, _ in page.tags} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
    } == set()
    assert [link["href"] for link in page.of("a")] == ["#part-1", "#part-2", "#part-3"]
    assert {one["id"] for one in page.of("section")} == {"part-1", "part-2", "part-3"}
    assert "http://" not in text and "https://" not in text and "url(" not in text
    assert "prefers-color-scheme:dark" in text and "@media print" in text


def test_whatever_a_text_contains_it_is_text(store: Engine) -> None:
    fill(store)
    pack = made(store)
    text = pack_html(poisoned(pack))
    page, harmless = Read(text), Read(pack_html(pack))
    allowed = {tag for tag, _ in harmless.tags}
    assert {tag for tag, _ in page.tags} == allowed
    assert {name for _, attributes in page.tags for name in attributes} == {
        name for _, attributes in harmless.tags for name in attributes
    }
    assert "<script" not in text and "49" not in "".join(page.texts)
    assert sum(EVIL in said for said in page.texts) > 20


def test_the_same_pack_is_the_same_page(store: Engine) -> None:
    fill(store)
    assert pack_html(made(store)) == pack_html(made(store))


def test_an_empty_store_is_told_as_such(store: Engine) -> None:
    page = Read(pack_html(made(store)))
    silent = [
        "crm -> erp",
        "5 s, 1 min",
        "nothing was ever measured",
        "not measured",
        "-",
        "nothing was ever measured",
    ]
    assert silent in page.rows
    assert "Nothing was judged in this period, so nothing is known about held writes." in page.texts
    bars = [one["class"] for one in page.of("rect")]
    assert bars == ["unknown"] * 3
