"""The figures as drawings: `python -m benchmarks.charts` writes docs/images/bench-*.svg from results.json.

One line per row. Its length is ours in multiples of the bar, or of the peer's where there is no bar, and ends at
twice as much; the mark stands at one. The figure beside it says ours, and how many times the peer's that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from benchmarks.rows import Row, known

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH, LABEL, FIGURES, LINE, TOP = 1060, 490, 190, 36, 58
MOST = 2.0
HELD, NOT_HELD, REPORTED = "#2f6f4f", "#b4452c", "#5b6b7a"
DRAWINGS = {
    "bench-rates.svg": ("Changes a second: beyond the mark is better", ("changes/s",)),
    "bench-times.svg": ("Time and memory: short of the mark is better", ("ms", "us", "s", "MiB")),
}


def drawn(title: str, rows: Sequence[Row]) -> str:
    """The drawing of some rows."""
    measured = [(row, length) for row in rows if (length := _length(row))]
    height = TOP + LINE * len(measured) + 14
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            f'font-size="13" role="img"><title>{escape(title)}</title>'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="14" y="26" font-size="16" font-weight="bold" fill="#1d2733">{escape(title)}</text>',
    ]
    for number, (row, length) in enumerate(measured):
        parts += _line(row, length, TOP + LINE * number)
    return "\n".join([*parts, "</svg>", ""])


def _line(row: Row, length: float, y: int) -> list[str]:
    scale = (WIDTH - LABEL - FIGURES) / MOST
    width, mark = min(length, MOST) * scale, LABEL + scale
    colour = REPORTED if row.bar == "reported" else HELD if row.held else NOT_HELD
    peer = f"beside {row.peer_value:g} {row.peer}, " if row.peer_value else ""
    figure = f"{row.ours:g} {row.unit}" + (f" = {row.ratio:g}x" if row.peer_value else "")
    return [
        f"<g><title>{escape(f'{row.name}: {figure}, {peer}bar {row.bar}')}</title>",
        f'<text x="14" y="{y + 11}" fill="#1d2733">{escape(_short(row.name, 66))}</text>',
        f'<text x="14" y="{y + 25}" fill="#5b6b7a" font-size="11">{escape(_short(f"{peer}bar {row.bar}", 84))}</text>',
        f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="18" rx="2" fill="{colour}"/>',
        f'<text x="{WIDTH - FIGURES + 8}" y="{y + 14}" fill="#1d2733">{escape(figure)}</text>',
        f'<line x1="{mark:.1f}" y1="{y - 4}" x2="{mark:.1f}" y2="{y + 22}" stroke="#1d2733" stroke-width="2"/>',
        "</g>",
    ]


def _length(row: Row) -> float:
    """Ours in multiples of the bar, else of the peer's figure; 0 = there is neither."""
    told = row.bar.removeprefix(">= ").removeprefix("<= ").removesuffix("x")
    bar = 1.0 if row.bar == "reported" else float(told)
    if row.peer_value:
        return row.ours / row.peer_value / bar
    return 0.0 if row.bar == "reported" else row.ours / bar


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def drawings() -> dict[str, str]:
    """File name to drawing, of results.json as it is."""
    rows = known()
    return {
        name: drawn(title, [row for row in rows if row.unit in units])
        for name, (title, units) in DRAWINGS.items()
    }


if __name__ == "__main__":
    for name, text in drawings().items():
        (IMAGES / name).write_text(text, "utf-8")
        print(f"docs/images/{name}")
