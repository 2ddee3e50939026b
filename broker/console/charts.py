"""Latency per hop as a small drawing: a bar to the median, a thin line to the 99th, a mark at the promise.

Pure. Drawn with attributes only (no inline style), with a text that says the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.agents.sentences import duration
from broker.console.words import HOPS, TWO_CLOCKS

WIDTH, ROW_HEIGHT, LABEL_WIDTH, FIGURES_WIDTH = 500, 30, 152, 134
FLOOR_MS = 1


@dataclass(frozen=True, slots=True)
class Bar:
    """One hop, in drawing units."""

    title: str
    y: int
    p50_x: float
    p99_x: float
    figures: str
    two_clocks: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the template draws."""

    title: str
    text: str
    width: int
    height: int
    left: int
    bars: Sequence[Bar]
    promise_x: float
    promise_text: str
    promise_y: int


def latency_chart(measures: Mapping[str, Any], name: str) -> Chart | None:
    """The drawing of a sync's hops; None when nothing was measured in the time looked at."""
    measured = {hop: found for hop, found in measures["hops"].items() if found["count"]}
    if not measured:
        return None
    promise_ms = int(measures["promise_p99_ms"])
    top_ms = max(promise_ms, *(int(found["p99_ms"]) for found in measured.values())) * 1.3
    bars: list[Bar] = []
    for hop in (hop for hop in HOPS if hop in measured):
        found = measured[hop]
        figures = f"{short(found['p50_ms'])} / {short(found['p99_ms'])}"
        y = len(bars) * ROW_HEIGHT + 22
        bar = Bar(
            title=HOPS[hop],
            y=y,
            p50_x=_place(found["p50_ms"], top_ms),
            p99_x=_place(found["p99_ms"], top_ms),
            figures=figures,
            two_clocks=hop in TWO_CLOCKS,
        )
        bars.append(bar)
    text = "; ".join(
        f"{HOPS[hop]}: half within {duration(max(found['p50_ms'], 0))}, 99 of 100 within "
        f"{duration(max(found['p99_ms'], 0))}"
        for hop, found in measured.items()
    )
    return Chart(
        title=f"How long changes take, {name}",
        text=f"{text}. Promised: 99 of 100 within {duration(promise_ms)}.",
        width=WIDTH,
        height=len(bars) * ROW_HEIGHT + 30,
        left=LABEL_WIDTH,
        bars=bars,
        promise_x=_place(promise_ms, top_ms),
        promise_text=f"promised {short(promise_ms)}",
        promise_y=len(bars) * ROW_HEIGHT + 24,
    )


def _place(ms: int, top_ms: float) -> float:
    """Position on a scale of powers: short and long hops are both legible."""
    share = math.log(max(ms, FLOOR_MS) + 1) / math.log(top_ms + 1)
    return round(LABEL_WIDTH + share * (WIDTH - LABEL_WIDTH - FIGURES_WIDTH), 1)


def short(ms: int) -> str:
    """`40 ms`, `1.2 s`, `3 min`: for figures in a drawing."""
    if ms < 1_000:
        return f"{ms} ms"
    return f"{ms / 1000:.3g} s" if ms < 120_000 else f"{ms / 60_000:.3g} min"
