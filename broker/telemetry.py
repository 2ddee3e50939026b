"""Every metric and every log event of the broker, named in one table each, and how they are given out.

`docs/reference/metrics.md` lists the same names (a test compares). No metric carries a record, a key or a
value. Where a figure comes from SQL it is read at scrape time; nothing is counted twice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from schemas.hops import BOUNDS_MS, Sketch

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetricName:
    """One metric: its kind, its labels and what it means."""

    kind: str
    labels: Labels
    meaning: str


_BY_SINK: Labels = ("object", "system")

METRICS: Final[dict[str, MetricName]] = {
    "solesource_changes": MetricName(
        "counter", ("outcome",), "Changes judged, by outcome; their sum is solesource_received."
    ),
    "solesource_received": MetricName("counter", (), "Changes read by the gate."),
    "solesource_revisions": MetricName("counter", (), "Authoritative records written."),
    "solesource_account_faults": MetricName(
        "gauge", (), "Batches whose account or chain is broken. Anything but 0 is an alarm."
    ),
    "solesource_not_accepted": MetricName(
        "counter", (*_BY_SINK, "outcome"), "Changes held, refused, proposed, stale, parked, or echoes."
    ),
    "solesource_updates": MetricName(
        "counter", (*_BY_SINK, "result"), "Updates at a sink: applied, skipped, failed; and retries."
    ),
    "solesource_hop_seconds": MetricName(
        "histogram", (*_BY_SINK, "hop"), "Latency of a hop; between two clocks it may be below zero."
    ),
    "solesource_cases": MetricName("gauge", ("state",), "Cases; open and asked wait for somebody."),
    "solesource_failed_updates_open": MetricName(
        "gauge", _BY_SINK, "Updates given up after all retries that nobody has settled."
    ),
    "solesource_sync_state": MetricName(
        "gauge", ("object", "source", "sink", "state"), "1 for the state a sync is in, 0 for the others."
    ),
    "solesource_sync_evaluated_timestamp_seconds": MetricName(
        "gauge", (), "When states were last evaluated; old = nothing said about them holds."
    ),
    "solesource_slot_last_commit_timestamp_seconds": MetricName(
        "gauge", ("slot",), "When a slot last committed a batch; ticks move it every minute."
    ),
    "solesource_index_gaps": MetricName(
        "gauge", (), "Stretches of topics that were gone before they were indexed."
    ),
    "solesource_store_up": MetricName("gauge", (), "1 while the database answers; 0 = the rest is missing."),
    "solesource_gate_batches": MetricName("counter", (), "Batches that this worker of the gate committed."),
    "solesource_gate_changes": MetricName(
        "counter", ("outcome",), "Changes that this worker of the gate judged; begins at 0 when it starts."
    ),
    "solesource_gate_last_commit_timestamp_seconds": MetricName(
        "gauge", ("slot",), "When this worker of the gate last committed a batch of a slot."
    ),
    "solesource_gate_tasks": MetricName(
        "gauge", (), "Tasks of this worker of the gate under way; rising for hours, something leaks."
    ),
}

EVENTS: Final[dict[str, str]] = {
    "control.started": "The control process began.",
    "control.stopped": "It ended in good order.",
    "control.rebuilt": "Everything derived from topics was forgotten and is read again.",
    "control.not_reminded": "Stewards were not told of reviews that are due: the audit cannot be signed (code).",
    "control.not_mailed": "Notices are not mailed at the moment: mail server (server) or database do not answer.",
    "control.mail_refused": "The mail server refuses one notice's address; it stands in the console (notice, smtp).",
    "indexer.reading": "A family of topics is being read, from the positions in SQL.",
    "indexer.interrupted": "Kafka or SQL did not answer; it goes on from the positions in SQL.",
    "indexer.gap": "A topic no longer holds records that were never indexed.",
    "indexer.unreadable": "A record of our own topics could not be read; it was passed over.",
    "registry.schemas_learned": "Schemas of the registry came with a new map; what was held is judged again.",
    "registry.schema_refused": "The contract in force cannot read a schema of the registry; what uses it stays held.",
    "registry.not_asked": "The registry, Kafka or SQL did not answer; it is asked again.",
    "ticks.sent": "A tick went to every part of every command topic.",
    "ticks.failed": "Ticks could not be sent; the next minute tries again.",
    "evaluation.failed": "Syncs could not be evaluated; soon all are shown as cannot tell.",
    "evaluation.changed": "A sync changed its state.",
    "console.started": "The console listens.",
    "console.signed_in": "A person signed in (name, how).",
    "console.sign_in_failed": "A sign-in failed (address only).",
    "console.signed_out": "A person signed out.",
    "console.refused": "A request was refused (rule, path).",
    "console.decision_sent": "A person's decision was written to the log (case, decision, name).",
    "console.decision_failed": "A decision could not be written; the person was told.",
    "console.delivery_settled": "A person said that a failed update is settled.",
}


class UnknownEventError(Exception):
    """A log event that is not in the table. Add it there and to docs/reference/metrics.md."""

    code = "telemetry.unknown_event"


def use_json_logs() -> None:
    """Log one JSON object per line on standard error; call once, when a process starts."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log(event: str, *, level: str = "info", **facts: str | float | bool | None) -> None:
    """Log one event of the table with facts about it: names and numbers, never values of records, never
    secrets.
    """
    if event not in EVENTS:
        msg = f"{event} is not in broker.telemetry.EVENTS [{UnknownEventError.code}] Add it there."
        raise UnknownEventError(msg)
    getattr(structlog.get_logger(), level)(event, **facts)


@dataclass(slots=True)
class Figures:
    """What one scrape says: per metric, label values and a number (or a sketch). Filled by the process."""

    numbers: dict[str, list[tuple[Labels, float]]] = field(default_factory=dict)
    sketches: list[tuple[Labels, Sketch]] = field(default_factory=list)

    def put(self, metric: str, value: float, *labels: str) -> None:
        """Set one figure."""
        assert len(labels) == len(METRICS[metric].labels)
        self.numbers.setdefault(metric, []).append((labels, value))


def cumulative(sketch: Sketch) -> list[tuple[str, float]]:
    """A sketch as Prometheus wants it: (upper bound in seconds, how many at or below), +Inf last; exact
    counts.
    """
    bounds = [str(bound / 1000) for bound in BOUNDS_MS] + ["+Inf"]
    seen, found = 0, []
    for bound, count in zip(bounds, sketch.buckets, strict=True):
        seen += count
        found.append((bound, float(seen)))
    return found


class FiguresCollector:
    """Hands the figures of the moment to Prometheus."""

    def __init__(self, read: Callable[[], Figures]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Nothing is read at registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family per metric of the table, without those that have no figure."""
        figures = self._read()
        for name, metric in METRICS.items():
            if metric.kind == "histogram":
                yield _histogram(name, metric, figures.sketches)
                continue
            values = figures.numbers.get(name)
            if values is None:
                continue
            family: Any = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            made = family(name, metric.meaning, labels=metric.labels)
            for labels, value in values:
                made.add_metric(labels, value)
            yield made


def _histogram(
    name: str, metric: MetricName, sketches: Iterable[tuple[Labels, Sketch]]
) -> HistogramMetricFamily:
    made = HistogramMetricFamily(name, metric.meaning, labels=metric.labels)
    for labels, sketch in sketches:
        made.add_metric(labels, cumulative(sketch), sum_value=sketch.sum_ms / 1000)
    return made


def exposition(read: Callable[[], Figures]) -> bytes:
    """The text that a scrape gets."""
    registry = CollectorRegistry()
    registry.register(FiguresCollector(read))
    return generate_latest(registry)
