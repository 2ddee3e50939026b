"""Ranges of offsets that a sink is through with, their latency and what failed in them.

Pure: offsets and times come in, Avro records go out. When they are sent is the sink loop's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.sdk.sink import Applied, Failed, Skipped, Update
from schemas.hops import HOPS, Sketch

FAILURES_MAX = 200
"""Failures listed in one acknowledgement; the range ends early so that none is left out."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How the work on one offset ended."""

    outcome: Applied | Skipped | Failed
    attempts: int
    update: Update | None
    """None where the update became part of a later one."""
    applied_ms: int


def hops_ms(update: Update, applied_ms: int) -> Mapping[str, int]:
    """Milliseconds of each hop; the first three add up to the last, negative included."""  # I8
    return {
        "source_to_log": update.ingress_ms - update.time_ms,
        "log_to_decision": update.decided_ms - update.ingress_ms,
        "decision_to_applied": applied_ms - update.decided_ms,
        "end_to_end": applied_ms - update.time_ms,
    }


class Range:
    """The offsets of one partition that were read and not yet acknowledged, in order."""

    def __init__(self, object_name: str, partition: int, generation: int = 1) -> None:
        self.object = object_name
        self.partition = partition
        self._generation = generation
        self.through = -1
        """Last offset that was acknowledged, in the partition that was read."""
        self._open: dict[int, tuple[int, bytes, Settled | None]] = {}
        self._sequence: dict[int, int] = {}
        """Offset read to that of the authoritative record, where deliveries are read: acknowledgements count in it."""

    def __len__(self) -> int:
        return len(self._open)

    def saw(self, offset: int, key: bytes, time_ms: int, sequence: int | None = None) -> None:
        """A record was read; offsets come in rising order."""
        self._open[offset] = (time_ms, key, None)
        if sequence is not None:
            self._sequence[offset] = sequence

    def settle(self, offset: int, settled: Settled) -> None:
        """The work on an offset ended."""
        found = self._open.get(offset)
        if found is not None:
            self._open[offset] = (found[0], found[1], settled)

    def take(self, system: str, applied_ms: int) -> dict[str, Any] | None:
        """The acknowledgement for the settled offsets at the front, which are then forgotten; None without
        any.
        """
        covered: list[tuple[int, int, bytes, Settled]] = []
        failed = 0
        for offset, (time_ms, key, settled) in self._open.items():
            if settled is None or failed == FAILURES_MAX:
                break
            failed += isinstance(settled.outcome, Failed)
            covered.append((offset, time_ms, key, settled))
        if not covered:
            return None
        self.through = covered[-1][0]
        record = self._record(system, applied_ms, covered)
        for offset, *_ in covered:
            del self._open[offset]
            self._sequence.pop(offset, None)
        return record

    def _record(
        self, system: str, applied_ms: int, covered: list[tuple[int, int, bytes, Settled]]
    ) -> dict[str, Any]:
        sketches = {hop: Sketch() for hop in HOPS}
        failures = []
        counts = {Applied: 0, Skipped: 0, Failed: 0}
        for offset, _, key, settled in covered:
            counts[type(settled.outcome)] += 1
            if isinstance(settled.outcome, Failed):
                failures.append(_failure(offset, key, settled, settled.outcome))
            elif isinstance(settled.outcome, Applied) and settled.update is not None:
                for hop, ms in hops_ms(settled.update, settled.applied_ms).items():
                    sketches[hop].add(ms)
        return {
            "system": system,
            "object": self.object,
            "partition": self.partition,
            "generation": self._generation,
            "from_offset": self._sequence.get(covered[0][0], covered[0][0]),
            "through_offset": self._sequence.get(covered[-1][0], covered[-1][0]),
            "applied": counts[Applied],
            "skipped": counts[Skipped],
            "failed": counts[Failed],
            "retries": sum(settled.attempts for *_, settled in covered),
            "applied_ms": applied_ms,
            "last_source_ms": max(time_ms for _, time_ms, _, _ in covered),
            "hops": [sketch.record(hop) for hop, sketch in sketches.items() if sketch.count],
            "failures": failures,
        }


def _failure(offset: int, key: bytes, settled: Settled, outcome: Failed) -> dict[str, Any]:
    return {
        "key": key,
        "offset": offset,
        "revision": 0 if settled.update is None else settled.update.revision,
        "code": outcome.code,
        "message": outcome.message,
        "attempts": settled.attempts + 1,
    }
