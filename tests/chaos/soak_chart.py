"""What each worker held during a soak, as SVG: one small drawing per measure, one line per process. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tests.chaos.flat import Sample

WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 110, 70, 46, 34
MEASURES = {
    "rss_mib": "memory, MiB",
    "descriptors": "open descriptors",
    "threads": "threads",
    "tasks": "tasks",
}
COLOURS = ("#1f6fb2", "#c2571a", "#2f7d4f", "#8a4fa0", "#8a6d1d", "#4a5568")


def drawing(lives: Sequence[Sequence[Sample]], kills_s: Sequence[float], title: str) -> str:
    """The SVG text. `kills_s`: when a worker was killed, in seconds since the load began."""
    height = TOP + len(MEASURES) * (HEIGHT + GAP)
    last_s = max((sample.at_s for life in lives for sample in life), default=1.0) or 1.0
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14" fill="#1a202c">{escape(title)}</text>',
    ]
    for row, (name, words) in enumerate(MEASURES.items()):
        parts += _row(lives, kills_s, name, words, TOP + row * (HEIGHT + GAP), last_s)
    return "\n".join([*parts, "</svg>", ""])


def _row(
    lives: Sequence[Sequence[Sample]],
    kills_s: Sequence[float],
    name: str,
    words: str,
    top: int,
    last_s: float,
) -> list[str]:
    values = [float(getattr(sample, name)) for life in lives for sample in life if getattr(sample, name) >= 0]
    most = max(values, default=1.0) * 1.1 or 1.0

    def x(at_s: float) -> float:
        return round(LEFT + at_s / last_s * (WIDTH - LEFT - 20), 1)

    def y(value: float) -> float:
        return round(top + HEIGHT - value / most * HEIGHT, 1)

    parts = [f'<text x="{LEFT}" y="{top - 5}" fill="#1a202c">{escape(words)}</text>']
    for share in (0.0, 0.5, 1.0):
        at = y(most * share)
        parts.append(f'<line x1="{LEFT}" y1="{at}" x2="{WIDTH - 20}" y2="{at}" stroke="#d9dee5"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end" fill="#4a5568">{most * share:.0f}</text>'
        )
    parts += [
        f'<line x1="{x(at)}" y1="{top}" x2="{x(at)}" y2="{top + HEIGHT}" stroke="#b33030" stroke-dasharray="3 3"/>'
        for at in kills_s
    ]
    for number, life in enumerate(lives):
        line = " ".join(f"{x(s.at_s)},{y(getattr(s, name))}" for s in life if getattr(s, name) >= 0)
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for minute in range(0, int(last_s // 60) + 1, max(1, int(last_s // 600))):
        parts.append(
            f'<text x="{x(minute * 60)}" y="{top + HEIGHT + 14}" text-anchor="middle" fill="#4a5568">'
            f"{minute} min</text>"
        )
    return parts
