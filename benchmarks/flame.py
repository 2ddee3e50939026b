"""Where the time of a worker goes, as a flame graph: `python -m benchmarks.flame` draws benchmarks/flame.txt.

With `python -m benchmarks.flame SAMPLES` the file is made anew before, of what `py-spy record --gil -f raw` took of a
worker under load: a line per stack, its frames from the outermost on and how often it was met. A box is a function, as
wide as its share of the samples; it stands on the one that called it.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from benchmarks.charts import IMAGES

SAMPLES = Path(__file__).parent / "flame.txt"
DRAWING = IMAGES / "bench-flame.svg"
FIRST = "Worker.execute_from_commandline"
"""What is called before it is how every program starts."""
WIDTH, ROW, TOP, EDGE, LETTER = 1060, 19, 44, 10, 6.3
LEAST = 0.004
"""Narrower boxes are left out."""
COLOURS = {"broker/gate": "#c9573a", "schemas": "#d98a3d", "broker": "#5f8f6f", "": "#a9b4bd"}
"""By where a function stands: what decides, what reads and compares bytes, the lane, libraries."""
LEGEND = {"broker/gate": "deciding", "schemas": "bytes and headers", "broker": "the lane", "": "libraries"}
Stacks = Counter[tuple[str, ...]]


class Box(NamedTuple):
    """A function under the ones that called it; begin and share in parts of all samples."""

    frame: str
    depth: int
    begin: float
    share: float


def stacks_in(text: str) -> Stacks:
    """The stacks of a text, without lines of code and without what stands before the first of ours."""
    found: Stacks = Counter()
    for line in text.splitlines():
        stack, times = line.rsplit(" ", 1)
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";")]
        begins = [at for at, frame in enumerate(frames) if frame.startswith(FIRST)]
        found[tuple(frames[begins[0] :] if begins else frames)] += int(times)
    return found


def text_of(stacks: Stacks) -> str:
    """The inverse of `stacks_in`."""
    return "".join(f"{';'.join(frames)} {times}\n" for frames, times in sorted(stacks.items()))


def boxes(stacks: Stacks) -> Iterator[Box]:
    """The boxes of the drawing; callers before what they call, neighbours by name."""
    yield from _boxes(sorted(stacks.items()), 0, 0.0, stacks.total())


def _boxes(
    stacks: Sequence[tuple[tuple[str, ...], int]], depth: int, begin: float, total: int
) -> Iterator[Box]:
    callees: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for frames, times in stacks:
        if len(frames) > depth:
            callees.setdefault(frames[depth], []).append((frames, times))
    for frame, its in callees.items():
        share = sum(times for _, times in its) / total
        if share >= LEAST:
            yield Box(frame, depth, begin, share)
            yield from _boxes(its, depth + 1, begin, total)
        begin += share


def drawn(stacks: Stacks) -> str:
    """The drawing."""
    found = list(boxes(stacks))
    height = TOP + ROW * (max(box.depth for box in found) + 1) + EDGE
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" '
            f'font-size="11" role="img"><title>Where the time of a worker goes</title>'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for place, (where, said) in enumerate(LEGEND.items()):
        x = EDGE + place * 170
        parts.append(f'<rect x="{x}" y="12" width="14" height="14" fill="{COLOURS[where]}"/>')
        parts.append(f'<text x="{x + 20}" y="23" font-family="sans-serif" font-size="13">{said}</text>')
    parts += [_drawn(box, height) for box in found]
    return "\n".join([*parts, "</svg>", ""])


def _drawn(box: Box, height: int) -> str:
    x, width = EDGE + box.begin * (WIDTH - 2 * EDGE), box.share * (WIDTH - 2 * EDGE)
    y = height - EDGE - ROW * (box.depth + 1)
    name = box.frame.split(" ")[0].replace("<locals>.", "")
    room = int((width - 6) / LETTER)
    label = name if len(name) <= room else name.split(".")[-1][:room] if room > 3 else ""
    colour = next(colour for where, colour in COLOURS.items() if f"({where}" in box.frame)
    return (
        f"<g><title>{escape(box.frame)}: {box.share:.1%}</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{max(width - 0.6, 0.4):.1f}" height="{ROW - 1}" fill="{colour}"/>'
        f'<text x="{x + 3:.1f}" y="{y + 13}">{escape(label)}</text></g>'
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        SAMPLES.write_text(text_of(stacks_in(Path(sys.argv[1]).read_text("utf-8"))), "utf-8")
    DRAWING.write_text(drawn(stacks_in(SAMPLES.read_text("utf-8"))), "utf-8")
    print(f"docs/images/{DRAWING.name}")
