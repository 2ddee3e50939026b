"""A drawing of one object: who owns on the left, who reads on the right. SVG, for pages that have no scripts.

Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from ownership.map import ObjectMap

_WIDTH, _BOX, _HEIGHT, _STEP, _TOP = 760, 176, 34, 58, 14
_LEFT, _MIDDLE, _RIGHT = 10, 292, 574


def drawn(entry: ObjectMap, titles: Mapping[str, str]) -> str:
    """The drawing of an object, with a text that says the same to who does not see it."""
    owned = sorted(Counter(entry.owners.values()).items())
    read = sorted(
        (s, len(entry.fields) if f is None else len(f)) for s, f in entry.readers.items() if f is None or f
    )
    height = _TOP * 2 + _STEP * max(len(owned), len(read), 1)
    middle = height / 2
    said = "; ".join(
        [
            *(f"{titles.get(s, s)} owns {_fields(n)}" for s, n in owned),
            *(f"{titles.get(s, s)} reads {_fields(n)}" for s, n in read),
        ]
    )
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(f"{entry.name}: {said}")}">',
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            '<path d="M0 0 8 4 0 8z"/></marker></defs>'
        ),
        *_side(owned, titles, _LEFT, middle, "owns"),
        *_side(read, titles, _RIGHT, middle, "reads"),
        _box(_MIDDLE, middle, entry.name, "object"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _side(
    systems: Sequence[tuple[str, int]], titles: Mapping[str, str], left: float, middle: float, verb: str
) -> list[str]:
    parts = []
    for number, (system, count) in enumerate(systems):
        y = middle + (number - (len(systems) - 1) / 2) * _STEP
        begin, end = (
            ((left + _BOX, y), (_MIDDLE, middle)) if verb == "owns" else ((_MIDDLE + _BOX, middle), (left, y))
        )
        x = (begin[0] + end[0]) / 2
        parts.append(_box(left, y, titles.get(system, system), verb))
        parts.append(
            f'<path class="line" d="M{begin[0]:.0f} {begin[1]:.0f} L{end[0]:.0f} {end[1]:.0f}" marker-end="url(#tip)"/>'
        )
        parts.append(
            f'<text class="said" x="{x:.0f}" y="{(begin[1] + end[1]) / 2 + 4:.0f}">{_fields(count)}</text>'
        )
    return parts


def _box(left: float, y: float, text: str, kind: str) -> str:
    shown = text if len(text) <= 22 else f"{text[:21]}…"
    return (
        f'<rect class="{kind}" x="{left:.0f}" y="{y - _HEIGHT / 2:.0f}" width="{_BOX}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{left + _BOX / 2:.0f}" y="{y + 5:.0f}">{escape(shown)}</text>'
    )


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"
