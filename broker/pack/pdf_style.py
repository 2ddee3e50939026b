"""Fonts, colours and styles of the PDF: paper is always white."""

from __future__ import annotations

from functools import cache

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import getFont, registerFont
from reportlab.pdfbase.ttfonts import TTFont

from broker.pack.outline import Tone

FONT, BOLD = "PackVera", "PackVeraBold"
LINE, SOFT, INK = HexColor(0xC9D1DA), HexColor(0xF2F5F8), HexColor(0x1C2430)
INKS: dict[Tone, Color] = {
    Tone.PLAIN: INK,
    Tone.GOOD: HexColor(0x0F6B32),
    Tone.BAD: HexColor(0xA81E1E),
    Tone.UNKNOWN: HexColor(0x5F3AA5),
}
FILLS: dict[Tone, Color] = INKS | {Tone.PLAIN: HexColor(0x0B5CAD)}
"""Of bars."""


@cache
def glyphs() -> frozenset[int]:
    """Makes the fonts known, and tells which characters they have.

    They come with reportlab and are embedded. The fonts that every reader has know the letters of Western Europe only.
    """
    registerFont(TTFont(FONT, "Vera.ttf"))
    registerFont(TTFont(BOLD, "VeraBd.ttf"))
    return frozenset(getFont(FONT).face.charToGlyph) & frozenset(getFont(BOLD).face.charToGlyph)


@cache
def style(kind: str, tone: Tone = Tone.PLAIN) -> ParagraphStyle:
    """Of a kind of text: `title`, `lead`, `section`, `heading`, `said`, `cell`, `head`."""
    glyphs()
    size, before, after, bold = _KINDS[kind]
    edge = {"borderPadding": 6, "backColor": SOFT, "leftIndent": 6} if kind == "lead" else {}
    return ParagraphStyle(
        f"{kind}-{tone}",
        fontName=BOLD if bold or (tone is Tone.BAD and kind != "lead") else FONT,
        fontSize=size,
        leading=size * 1.35,
        spaceBefore=before,
        spaceAfter=after,
        textColor=INKS[tone],
        **edge,
    )


_KINDS = {
    "title": (18, 0, 6, True),
    "lead": (12, 9, 9, False),
    "section": (15, 14, 6, True),
    "heading": (10.5, 10, 3, True),
    "said": (9, 2, 2, False),
    "cell": (7.5, 0, 0, False),
    "head": (7.5, 0, 0, True),
}
"""Size in points, space before and after, whether it is bold."""
