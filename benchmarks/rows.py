"""Rows of results.json: one figure each, beside its peer and its bar."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results.json"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` = ours / peer; `held` = whether the bar was reached; `turns` = what each turn gave."""

    name: str
    ours: float
    peer: str
    peer_value: float
    ratio: float
    unit: str
    bar: str
    held: bool
    turns: Sequence[float] = ()
    peer_turns: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """Who was measured: the figure that counts, and what each turn gave."""

    who: str
    value: float
    turns: Sequence[float] = ()


NOBODY = Measured("none", 0.0)


def at_least(name: str, ours: Measured, peer: Measured, unit: str, times: float) -> Row:
    """More is better; 0 = reported, without a bar."""
    bar = f">= {times:g}x" if times else "reported"
    return _row(name, ours, peer, unit, bar, held=ours.value >= times * peer.value)


def at_most(name: str, ours: Measured, peer: Measured, unit: str, most: float) -> Row:
    """Less is better: at most so many times the peer's, or so much where there is no peer; 0 = without a bar."""
    if not most:
        return _row(name, ours, peer, unit, "reported", held=True)
    relative = peer.value > 0
    bar = f"<= {most:g}x" if relative else f"<= {most:g}"
    return _row(name, ours, peer, unit, bar, held=ours.value <= most * (peer.value if relative else 1))


def _row(name: str, ours: Measured, peer: Measured, unit: str, bar: str, *, held: bool) -> Row:
    row = Row(
        name=name,
        ours=round(ours.value, 1),
        peer=peer.who,
        peer_value=round(peer.value, 1),
        ratio=round(ours.value / peer.value, 2) if peer.value else 0.0,
        unit=unit,
        bar=bar,
        held=held,
        turns=[round(turn, 1) for turn in ours.turns],
        peer_turns=[round(turn, 1) for turn in peer.turns],
    )
    verdict = "held" if held else "NOT HELD"
    print(
        f"{name}: {row.ours} {unit}, {peer.who} {row.peer_value}, ratio {row.ratio} (bar {bar}): {verdict}",
        flush=True,
    )
    return row


def known() -> list[Row]:
    """The rows that are there."""
    return [Row(**row) for row in json.loads(RESULTS.read_text("utf-8"))["rows"]] if RESULTS.exists() else []


def written(rows: Sequence[Row]) -> None:
    """Put rows into results.json; those of parts not run stay as they were."""
    fresh = {row.name: row for row in rows}
    merged = [row for row in known() if row.name not in fresh] + list(fresh.values())
    machine = {"python": platform.python_version(), "system": platform.system(), "processors": os.cpu_count()}
    told = {"machine": machine, "rows": [asdict(row) for row in merged]}
    RESULTS.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
