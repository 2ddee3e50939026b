"""Promises as OpenSLO v1: the form that its specification prints, and metrics that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from typer.testing import CliRunner

from broker.cli.root import app
from broker.telemetry import METRICS, Figures, exposition
from ownership.openslo import DESCRIPTION_LENGTH_MAX, NEARLY_ALL, openslo_of
from schemas.hops import BOUNDS_MS, Sketch
from tests.estate import MAP_DIR
from tests.unit.ownership.test_load import SLA, customer

LABEL = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
DURATION = {"type": "string", "pattern": "^[1-9][0-9]*[mhdwMQY]$"}
SHARE = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
TEXT = {"type": "string", "maxLength": DESCRIPTION_LENGTH_MAX}


def form(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with these keys and no others."""
    keys = required | (optional or {})
    return {
        "type": "object",
        "properties": keys,
        "required": list(required),
        "additionalProperties": False,
    }


# Ours, after the forms that the specification prints (README.md of OpenSLO/OpenSLO) and the rules of OpenSLO/go-sdk.
METADATA = form(
    {"name": LABEL},
    {
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$"},
            "additionalProperties": {"type": "string"},
        },
    },
)
QUERY = form({"query": {"type": "string", "minLength": 1}})
METRIC = form({"metricSource": form({"type": {"const": "Prometheus"}, "spec": QUERY})})
INDICATOR = {
    "oneOf": [
        form({"ratioMetric": form({"counter": {"type": "boolean"}, "good": METRIC, "total": METRIC})}),
        form({"thresholdMetric": METRIC}),
    ]
}
OBJECTIVE = {
    "Occurrences": form({"target": SHARE}, {"displayName": {"type": "string", "minLength": 1}}),
    "Timeslices": form(
        {
            "op": {"enum": ["lte", "gte", "lt", "gt"]},
            "value": {"type": "number"},
            "target": SHARE,
            "timeSliceTarget": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "timeSliceWindow": DURATION,
        }
    ),
}
CONDITION = form(
    {
        "kind": {"const": "burnrate"},
        "op": {"enum": ["lte", "gte", "lt", "gt"]},
        "threshold": {"type": "number"},
        "lookbackWindow": DURATION,
        "alertAfter": DURATION,
    }
)
INLINED = form(
    {
        "kind": {"const": "AlertCondition"},
        "metadata": METADATA,
        "spec": form({"severity": {"type": "string", "minLength": 1}, "condition": CONDITION}),
    }
)
ONE: dict[str, Any] = {"type": "array", "minItems": 1, "maxItems": 1}


def slo(method: str) -> dict[str, Any]:
    window = form({"duration": DURATION, "isRolling": {"const": True}})
    return form(
        {
            "service": LABEL,
            "indicator": form({"metadata": METADATA, "spec": INDICATOR}),
            "timeWindow": ONE | {"items": window},
            "budgetingMethod": {"const": method},
            "objectives": ONE | {"items": OBJECTIVE[method]},
        },
        {"description": TEXT, "alertPolicies": ONE | {"items": form({"alertPolicyRef": LABEL})}},
    )


FLAG = {"type": "boolean"}
SPECS = {
    "Service": form({}, {"description": TEXT}),
    "AlertNotificationTarget": form({"target": {"type": "string", "minLength": 1}}, {"description": TEXT}),
    "AlertPolicy": form(
        {
            **dict.fromkeys(("alertWhenNoData", "alertWhenResolved", "alertWhenBreaching"), FLAG),
            "conditions": ONE | {"items": INLINED},
            "notificationTargets": ONE | {"items": form({"targetRef": LABEL})},
        },
        {"description": TEXT},
    ),
    "SLO": {"oneOf": [slo("Occurrences"), slo("Timeslices")]},
}


def faults(document: dict[str, Any]) -> list[str]:
    whole = form(
        {
            "apiVersion": {"const": "openslo/v1"},
            "kind": {"enum": list(SPECS)},
            "metadata": METADATA,
            "spec": SPECS[document["kind"]],
        }
    )
    return [error.message for error in jsonschema_rs.validator_for(whole).iter_errors(document)]


ONE_WRITER = {"fields": {}, "system_of_record": "crm", "systems": {"erp": {"read": "all"}}}
FRESH = SLA | {"freshness": {"expect_every": "90s"}}


def documents(**changed: Any) -> list[dict[str, Any]]:
    return openslo_of(customer(**{**ONE_WRITER, "slas": [FRESH], **changed}), BOUNDS_MS)


def slos(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in found if one["kind"] == "SLO"}


def queries(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["query"]] if "query" in part else [])
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from queries(one)


# --- tests


def test_it_has_the_form_that_the_specification_prints(tmp_path: Path) -> None:
    assert [fault for one in documents() for fault in faults(one)] == []
    done = CliRunner().invoke(app, ["map", "openslo", str(tmp_path), "--folder", str(MAP_DIR)])
    assert done.exit_code == 0 and "6 objectives in" in done.output
    written = list(yaml.safe_load_all((tmp_path / "customer.openslo.yaml").read_text("utf-8")))
    assert [one["kind"] for one in written].count("SLO") == 6
    assert [fault for one in written for fault in faults(one)] == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("SLO", ("spec", "objectives", 0, "target"), 1),
        ("SLO", ("spec", "timeWindow", 0, "duration"), "90s"),
        ("SLO", ("spec", "service"), "order_item"),
        ("SLO", ("spec", "alertPolicies"), ["by-name"]),
        ("AlertPolicy", ("spec", "conditions"), []),
        ("Service", ("metadata", "name"), "x" * 64),
        ("Service", ("spec", "description"), "x" * 1051),
    ],
)
def test_another_form_would_be_seen(kind: str, path: tuple[Any, ...], value: Any) -> None:
    document = next(one for one in documents() if one["kind"] == kind)
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert faults(document)


def test_what_is_promised() -> None:
    found = slos(documents())
    assert list(found) == [f"customer-crm-erp-{what}" for what in ("p99", "max", "errors", "freshness")]
    targets = [one["spec"]["objectives"][0]["target"] for one in found.values()]
    assert targets == [0.99, NEARLY_ALL, 0.99, NEARLY_ALL]
    windows = [one["spec"]["timeWindow"][0]["duration"] for one in found.values()]
    assert windows == ["10m", "10m", "10m", "2m"], "no seconds: rounded up"
    assert found["customer-crm-erp-errors"]["metadata"]["annotations"] == {
        "solesource.connection": "crm -> erp",
        "solesource.healthy-within": "30m",
        "solesource.expect-every": "90s",
    }


def test_every_query_names_a_series_that_control_gives_out() -> None:
    figures, sketch = Figures(), Sketch()
    sketch.add(1)
    figures.sketches.append((("customer", "erp", "end_to_end"), sketch))
    for result in ("applied", "skipped", "failed", "retries"):
        figures.put("solesource_updates", 1, "customer", "erp", result)
    series = exposition(lambda: figures).decode()
    found = list(queries(documents()))
    assert len(found) == 7
    for query in found:
        (name, labels), *more = re.findall(r"(solesource_[a-z_]+)\{(.*?)\}", query)
        assert not more and re.sub(r"_(total|bucket|count)$", "", name) in METRICS
        for label, op, value in re.findall(r'(\w+)(=~?)"(.*?)"', labels):
            for one in value.split("|") if op == "=~" else [value]:
                assert re.search(rf'^{name}\{{[^}}]*{label}="{re.escape(one)}"', series, re.MULTILINE), query


@pytest.mark.parametrize(
    ("p99", "max_", "names"),
    [
        ("5s", "60s", ["p99", "max"]),
        ("4s", "7s", ["p99", "max"]),
        ("4ms", "6ms", ["max"]),
        ("1ms", "2ms", []),
    ],
)
def test_latency_is_counted_in_a_bucket_within_the_promise_or_not_at_all(
    p99: str, max_: str, names: list[str]
) -> None:
    found = slos(documents(slas=[SLA | {"latency": {"p99": p99, "max": max_}}]))
    assert list(found) == [f"customer-crm-erp-{name}" for name in (*names, "errors")]
    if p99 == "4s":
        (good, _) = queries(found["customer-crm-erp-p99"])
        assert 'le="2.5"' in good


@pytest.mark.parametrize(
    "changed",
    [
        {"slas": [SLA]},
        {"fields": {"credit_limit": {"system_of_record": "erp"}}},
        {"slas": [SLA | {"freshness": {"expect_every": "0s"}}]},
    ],
)
def test_freshness_is_left_out_where_no_metric_would_show_the_source_silent(changed: dict[str, Any]) -> None:
    assert "customer-crm-erp-freshness" not in slos(documents(**changed))


def test_freshness_by_a_calendar_is_left_out() -> None:
    entry = customer(**ONE_WRITER, slas=[FRESH])
    entry = replace(entry, slas=(replace(entry.slas[0], calendar="office"),))
    found = slos(openslo_of(entry, BOUNDS_MS))
    assert "customer-crm-erp-freshness" not in found
    assert found["customer-crm-erp-errors"]["metadata"]["annotations"]["solesource.calendar"] == "office"


def test_whom_alerts_reach() -> None:
    found = documents()
    (policy,) = (one for one in found if one["kind"] == "AlertPolicy")
    (target,) = (one for one in found if one["kind"] == "AlertNotificationTarget")
    assert policy["spec"]["notificationTargets"] == [{"targetRef": target["metadata"]["name"]}]
    assert target["spec"]["target"] == "customer-sync"
    silent = documents(slas=[SLA | {"alert": {"path": " "}}])
    assert {one["kind"] for one in silent} == {"Service", "SLO"}
    assert "alertPolicies" not in slos(silent)["customer-crm-erp-errors"]["spec"]


def test_nothing_promised_is_nothing_said() -> None:
    assert documents(slas=[]) == []


@pytest.mark.parametrize("path", ["#on call: 24/7", "x" * 200, "ops@example.com", "Ops", "ops", "日本"])
def test_whatever_a_path_is_called_it_has_a_name(path: str) -> None:
    found = documents(slas=[SLA | {"alert": {"path": path}}])
    assert [fault for one in found for fault in faults(one)] == []


def test_names_are_told_apart() -> None:
    paths = ("ops-sync", "ops_sync", "Ops-sync")
    found = [documents(slas=[SLA | {"alert": {"path": path}}])[1]["metadata"]["name"] for path in paths]
    assert len(set(found)) == 3 and found[0] == "ops-sync"


def test_a_long_description_is_cut() -> None:
    service = documents(description="word " * 500)[0]
    assert faults(service) == [] and service["spec"]["description"].endswith("…")


@pytest.mark.parametrize("share", ["0%", "100%"])
def test_a_target_is_never_one(share: str) -> None:
    found = documents(slas=[SLA | {"errors": SLA["errors"] | {"alert_above": share}}])  # type: ignore[operator]
    assert [fault for one in found for fault in faults(one)] == []


@pytest.mark.counterpart
@pytest.mark.skipif(shutil.which("oslo") is None, reason="ABSENT COUNTERPART: oslo, OpenSLO's own reader")
def test_openslos_own_reader_takes_it(tmp_path: Path) -> None:
    def valid(found: list[dict[str, Any]]) -> bool:
        path = tmp_path / "customer.yaml"
        path.write_text(yaml.safe_dump_all(found, sort_keys=False), "utf-8")
        done = subprocess.run(["oslo", "validate", "-f", path], capture_output=True, text=True, check=False)  # noqa: S607
        return "Valid!" in done.stdout  # its exit status says nothing

    found = documents()
    assert valid(found)
    found[-1]["spec"]["budgetingMethod"] = "Guesses"
    assert not valid(found)
