"""A review pack as a PDF: what the HTML file says, in the same order. The same pack is the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import Any
from unicodedata import normalize

from reportlab.graphics.charts.barcharts import HorizontalBarChart
from reportlab.graphics.shapes import Drawing, Line
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, Flowable, PageBreak, Paragraph, SimpleDocTemplate, Table

from broker.pack.facts import Pack
from broker.pack.outline import Bar, Bars, Block, Grid, Heading, Outline, Said, Tone, outline
from broker.pack.pdf_style import FILLS, FONT, INK, LINE, SOFT, glyphs, style

MARGIN = 18 * mm
WIDTH = A4[0] - 2 * MARGIN - 12
"""The frame keeps 6 points free on either side."""
BAR_HEIGHT, LABELS_WIDTH, BARS_WIDTH = 17, 165, 190
BARS_OF_A_DRAWING = 30
"""A drawing does not go over to another page, so many bars are several drawings."""
LOST = (
    "Signs that this file has no letters for are shown without their marks or as ?; the HTML file has them."
)


def pack_pdf(pack: Pack) -> bytes:
    """The whole file, on A4. Nothing of it depends on when or where it was made."""
    said = outline(pack)
    written = BytesIO()
    document = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=said.title.words,
        author="SoleSource",
        lang="en",
        invariant=1,  # no date and no random name within: a sign-off names the digest of the file
    )
    footer = _Pen().shown(said.title.words)

    def numbered(canvas: Any, at: Any) -> None:
        canvas.setFont(FONT, 7)
        canvas.setFillColor(INK)
        canvas.drawString(MARGIN, MARGIN / 2, footer)
        canvas.drawRightString(A4[0] - MARGIN, MARGIN / 2, f"page {at.page}")

    document.build(list(_Pen().story(said)), onFirstPage=numbered, onLaterPages=numbered)
    return written.getvalue()


class _Pen:
    """Writes what the fonts have letters for, and remembers whether something had none."""

    def __init__(self) -> None:
        self._known = glyphs()
        self._lost = False

    def shown(self, text: str) -> str:
        found = "".join(sign if ord(sign) in self._known else self._instead(sign) for sign in text)
        self._lost = self._lost or found != text
        return found

    def _instead(self, sign: str) -> str:
        letter = normalize("NFKD", sign)[0]
        return letter if ord(letter) in self._known else "?"

    def text(self, text: str) -> str:
        """As reportlab's markup: what looks like markup in it is text."""
        return self.shown(text).replace("&", "&amp;").replace("<", "&lt;")

    def paragraph(self, text: str, kind: str, tone: Tone = Tone.PLAIN, anchor: str = "") -> Flowable:
        return Paragraph(f"{anchor}{self.text(text)}", style(kind, tone))

    def story(self, said: Outline) -> Iterator[Flowable]:
        yield self.paragraph(said.title.words, "title")
        yield self.paragraph(said.introduction.words, "said")
        for one in said.lead:
            yield self.paragraph(one.words, "lead", one.tone)
        for one in said.also:
            yield self.paragraph(one.words, "said", one.tone)
        yield from self.blocks(said.overview)
        yield self.paragraph("In this pack", "heading")
        for number, section in enumerate(said.sections, 1):
            link = f'<a href="#part-{number}" color="#0b5cad">{self.text(section.title.words)}</a>'
            yield Paragraph(link, style("said"))
        for number, section in enumerate(said.sections, 1):
            yield PageBreak() if number < len(said.sections) else CondPageBreak(60 * mm)
            yield self.paragraph(section.title.words, "section", anchor=f'<a name="part-{number}"/>')
            yield from self.blocks(section.blocks)
        if self._lost:
            yield self.paragraph(LOST, "said")

    def blocks(self, blocks: Iterable[Block]) -> Iterator[Flowable]:
        for block in blocks:
            match block:
                case Said():
                    yield self.paragraph(block.words, "said", block.tone)
                case Heading():
                    yield CondPageBreak(30 * mm)
                    yield self.paragraph(block.words, "heading")
                case Grid():
                    yield self.table(block)
                case Bars():
                    yield from self.drawings(block)

    def table(self, grid: Grid) -> Flowable:
        heading = [self.paragraph(name, "head") for name in grid.heading]
        rows = [[self.paragraph(cell.words, "cell", cell.tone) for cell in row] for row in grid.rows]
        return Table(
            [heading, *rows],
            colWidths=[share * WIDTH for share in grid.widths],
            repeatRows=1,
            splitInRow=1,  # a text longer than a page would stop the whole file
            spaceBefore=3,
            spaceAfter=4,
            style=[
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("BACKGROUND", (0, 0), (-1, 0), SOFT),
                ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
                ("LEFTPADDING", (0, 0), (-1, -1), 3),
                ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ],
        )

    def drawings(self, block: Bars) -> Iterator[Flowable]:
        yield CondPageBreak(BAR_HEIGHT * min(len(block.bars), BARS_OF_A_DRAWING) + 30)
        yield self.paragraph(block.words, "said")
        for first in range(0, len(block.bars), BARS_OF_A_DRAWING):
            yield self.drawing(block.bars[first : first + BARS_OF_A_DRAWING], block.top, block.limit)

    def drawing(self, bars: Sequence[Bar], top: float, limit: float | None) -> Flowable:
        """Bars up to a size, each with what it says at its end; a line at the limit."""
        height = BAR_HEIGHT * len(bars)
        chart = HorizontalBarChart()
        chart.x, chart.y, chart.width, chart.height = LABELS_WIDTH, 4, BARS_WIDTH, height
        chart.data = [[bar.size for bar in bars]]
        chart.valueAxis.valueMin, chart.valueAxis.valueMax = 0, top
        chart.valueAxis.visible = False
        chart.categoryAxis.categoryNames = [self.shown(bar.label) for bar in bars]
        chart.categoryAxis.reverseDirection = 1
        chart.categoryAxis.visibleTicks = False
        chart.categoryAxis.strokeColor = LINE
        chart.categoryAxis.labels.fontName = FONT
        chart.categoryAxis.labels.fontSize = 7.5
        chart.bars.strokeColor = None
        chart.barLabelFormat = "values"
        chart.barLabelArray = [[self.shown(bar.shown) for bar in bars]]
        chart.barLabels.fontName, chart.barLabels.fontSize = FONT, 7.5
        chart.barLabels.boxAnchor, chart.barLabels.dx = "w", 4
        for number, bar in enumerate(bars):
            chart.bars[0, number].fillColor = FILLS[bar.tone]
        made = Drawing(WIDTH, height + 8)
        made.add(chart)
        if limit is not None:
            x = LABELS_WIDTH + BARS_WIDTH * limit / top
            made.add(Line(x, 2, x, height + 6, strokeColor=INK, strokeDashArray=(3, 2)))
        return made
