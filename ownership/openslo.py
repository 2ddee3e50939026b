"""The promises of an object as OpenSLO v1, for tools that compute and alert by that.

Pure. The specification is https://github.com/OpenSLO/OpenSLO/blob/main/README.md; where it is silent, the rules are
those of the project's own reader, https://github.com/OpenSLO/go-sdk (pkg/openslo/v1). Indicators ask for metrics that
control gives out (docs/reference/metrics.md). A promise for which there is none is left out, never put in other words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from ownership.document import duration_text
from ownership.map import ObjectMap, Sla

VERSION = "openslo/v1"
NEARLY_ALL = 0.99999
"""Stands for "always": OpenSLO takes no target of 1."""
NAME_LENGTH_MAX = 63
DESCRIPTION_LENGTH_MAX = 1050
_MINUTE_MS = 60_000
_UNITS_MS = {"d": 1440 * _MINUTE_MS, "h": 60 * _MINUTE_MS, "m": _MINUTE_MS}
_Said = dict[str, Any]


def openslo_of(entry: ObjectMap, bounds_ms: Sequence[int]) -> list[_Said]:
    """An object's Service, the SLOs of its promises, and whom alerts reach; nothing where nothing is promised.

    `bounds_ms`: the upper bounds of the buckets in which latency is counted.
    """
    if not entry.slas:
        return []
    service = _document("Service", _name(entry.name), {"description": _cut(entry.description)})
    service["metadata"]["labels"] = {"team": entry.steward_team}
    paths = dict.fromkeys(path for sla in entry.slas if (path := sla.alert_path.strip()))
    found = [service, *(_target(path) for path in paths)]
    for sla in entry.slas:
        if sla.alert_path.strip():
            found.append(_policy(entry, sla))
        found += _objectives(entry, sla, bounds_ms)
    return found


def _objectives(entry: ObjectMap, sla: Sla, bounds_ms: Sequence[int]) -> Iterator[_Said]:
    for what, ms, target in (("p99", sla.latency_p99_ms, 0.99), ("max", sla.latency_max_ms, NEARLY_ALL)):
        # The bucket at or below the promise: a change is never counted as in time that was not.
        if (bound_ms := max((one for one in bounds_ms if one <= ms), default=None)) is not None:
            yield _latency(entry, sla, what, bound_ms, target)
    yield _errors(entry, sla)
    # The metrics say at which sink something arrived, not from whom: with another writer, the sink itself perhaps, the
    # source could be silent unseen  # I9
    if sla.expect_every_ms and entry.writers == {sla.source} and sla.calendar is None:
        yield _freshness(entry, sla, sla.expect_every_ms)


def _latency(entry: ObjectMap, sla: Sla, what: str, bound_ms: int, target: float) -> _Said:
    every = _labels(entry, sla, hop="end_to_end")
    good = _labels(entry, sla, hop="end_to_end", le=str(bound_ms / 1000))
    ratio = {
        "counter": True,
        "good": _metric(f"sum(solesource_hop_seconds_bucket{good})"),
        "total": _metric(f"sum(solesource_hop_seconds_count{every})"),
    }
    objective = {"displayName": f"within {duration_text(bound_ms)}", "target": target}
    many = "99 of 100 changes" if what == "p99" else "every change"
    promised = sla.latency_p99_ms if what == "p99" else sla.latency_max_ms
    said = f"{many} within {duration_text(promised)}, counted in the bucket of {duration_text(bound_ms)}"
    return _slo(entry, sla, what, said, {"ratioMetric": ratio}, "Occurrences", objective)


def _errors(entry: ObjectMap, sla: Sla) -> _Said:
    # As control reckons it: what was skipped, because it was there already, is neither.
    ratio = {
        "counter": True,
        "good": _metric(f"sum({_updates(entry, sla, 'applied')})"),
        "total": _metric(f"sum({_updates(entry, sla, 'applied|failed')})"),
    }
    target = min(round(1 - sla.alert_above, 6), NEARLY_ALL)
    said = f"an alert above {sla.alert_above * 100:g}% of updates given up after all retries"
    return _slo(entry, sla, "errors", said, {"ratioMetric": ratio}, "Occurrences", {"target": target})


def _freshness(entry: ObjectMap, sla: Sla, every_ms: int) -> _Said:
    arrived = _updates(entry, sla, "applied|skipped")
    query = f"sum(increase({arrived}[{duration_text(every_ms)}]))"
    objective = {
        "op": "gt",
        "value": 0,
        "target": NEARLY_ALL,
        "timeSliceTarget": 1,
        "timeSliceWindow": _shorthand(every_ms),
    }
    said = f"something every {duration_text(every_ms)}"
    return _slo(entry, sla, "freshness", said, {"thresholdMetric": _metric(query)}, "Timeslices", objective)


def _slo(
    entry: ObjectMap, sla: Sla, what: str, said: str, indicator: _Said, method: str, objective: _Said
) -> _Said:
    spec: _Said = {
        "description": _cut(f"{entry.name} from {sla.source} to {sla.sink}: {said}."),
        "service": _name(entry.name),
        "indicator": {
            "metadata": {"name": _name(entry.name, sla.source, sla.sink, what, "sli")},
            "spec": indicator,
        },
        "timeWindow": [
            {"duration": objective.get("timeSliceWindow") or _shorthand(sla.window_ms), "isRolling": True}
        ],
        "budgetingMethod": method,
        "objectives": [objective],
    }
    if what == "errors" and sla.alert_path.strip():
        spec["alertPolicies"] = [{"alertPolicyRef": _name(entry.name, sla.source, sla.sink, "alert")}]
    made = _document("SLO", _name(entry.name, sla.source, sla.sink, what), spec)
    made["metadata"]["annotations"] = dict(_beside(sla))
    return made


def _beside(sla: Sla) -> Iterator[tuple[str, str]]:
    """What OpenSLO has no word for, or no metric measures."""
    yield "solesource.connection", f"{sla.source} -> {sla.sink}"
    yield "solesource.healthy-within", duration_text(sla.healthy_within_ms)
    if sla.expect_every_ms is not None:
        yield "solesource.expect-every", duration_text(sla.expect_every_ms)
    if sla.calendar is not None:
        yield "solesource.calendar", sla.calendar


def _policy(entry: ObjectMap, sla: Sla) -> _Said:
    """Alert at burn rate 1 over the promise's window: the share of errors that the promise names."""
    condition = {
        "kind": "burnrate",
        "op": "gt",
        "threshold": 1,
        "lookbackWindow": _shorthand(sla.window_ms),
        "alertAfter": "1m",
    }
    name = _name(entry.name, sla.source, sla.sink, "burn")
    spec = {
        "alertWhenBreaching": True,
        "alertWhenResolved": False,
        "alertWhenNoData": False,
        "conditions": [
            {
                "kind": "AlertCondition",
                "metadata": {"name": name},
                "spec": {"severity": "alert", "condition": condition},
            }
        ],
        "notificationTargets": [{"targetRef": _name(sla.alert_path.strip())}],
    }
    return _document("AlertPolicy", _name(entry.name, sla.source, sla.sink, "alert"), spec)


def _target(path: str) -> _Said:
    return _document("AlertNotificationTarget", _name(path), {"target": path})


def _document(kind: str, name: str, spec: _Said) -> _Said:
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _metric(query: str) -> _Said:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}


def _updates(entry: ObjectMap, sla: Sla, results: str) -> str:
    labels = _labels(entry, sla).removesuffix("}")
    return f'solesource_updates_total{labels},result=~"{results}"}}'


def _labels(entry: ObjectMap, sla: Sla, **more: str) -> str:
    # Names of objects and systems hold nothing that PromQL would have to be told apart (`ownership.document.Name`).
    said = {"object": entry.name, "system": sla.sink, **more}
    return "{" + ",".join(f'{name}="{value}"' for name, value in said.items()) + "}"


def _shorthand(ms: int) -> str:
    """`10m`: OpenSLO knows no seconds, so whole minutes, at least one."""
    ms = max(-(-ms // _MINUTE_MS), 1) * _MINUTE_MS
    return next(f"{ms // unit}{name}" for name, unit in _UNITS_MS.items() if ms % unit == 0)


def _name(*parts: str) -> str:
    """A label of RFC 1123; with a digest where the label alone would not tell two names apart."""
    plain = "-".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)
    apart = all(part.isalnum() for part in parts) or len(parts) == 1
    if apart and plain == "-".join(parts) and 0 < len(plain) <= NAME_LENGTH_MAX:
        return plain
    digest = sha256("\0".join(parts).encode()).hexdigest()[:8]
    return f"{plain[: NAME_LENGTH_MAX - 9].strip('-')}-{digest}".lstrip("-")


def _cut(text: str) -> str:
    return text if len(text) <= DESCRIPTION_LENGTH_MAX else text[: DESCRIPTION_LENGTH_MAX - 1] + "…"
