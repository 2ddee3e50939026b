"""Judges a soak by counts, chains, revisions and last values: millions of changes do not fit the judge of histories.

What is written, the ledger, the revisions and the cases have to be as many as each other, without a gap in any chain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.chaos import history
from tests.chaos.load import Load
from tests.chaos.recorder import Line, Recorder

SHOWN = 20


def ledger_findings(batches: Iterable[Line]) -> tuple[list[str], Counter[str], dict[str, int]]:
    """(what does not follow or does not add up, the account of all batches, where each input was judged to)."""
    judge = history.History([])
    last: dict[int, Line] = {}
    total: Counter[str] = Counter()
    ends: dict[str, int] = {}
    for batch in batches:
        history._linked(judge, batch, last.get(batch["slot"]))
        last[batch["slot"]] = batch
        total.update(batch["account"])
        total.update({"received": batch["received"], "revisions": batch["revisions"]})
        ends |= {name: max(offset, ends.get(name, 0)) for name, offset in batch["positions"].items()}
    return [f"{f['what']} (slot {f['slot']}, batch {f['sequence']})" for f in judge.findings], total, ends


def revision_findings(revisions: Iterable[Line], last: dict[tuple[str, str], str]) -> tuple[list[str], int]:
    """(keys whose revisions have a gap or whose owners' last values are not there, how many revisions there are)."""
    said: list[str] = []
    numbers: dict[str, int] = {}
    values: dict[str, dict[str, Any]] = {}
    count = 0
    for line in revisions:
        key, count = line["key"], count + 1
        if line["revision"] != numbers.get(key, 0) + 1:
            said.append(f"{key}: revision {line['revision']} after {numbers.get(key, 0)}")
        numbers[key], values[key] = line["revision"], line["values"] or {}
    for (key, field), value in last.items():
        if (found := values.get(key, {}).get(field)) != value:
            said.append(f"{key}: {field} is {found}, its owner wrote {value} last")
    return said, count


def judged(recorder: Recorder, load: Load, unanswered: int) -> tuple[list[str], Line]:
    """(findings, figures) of a soak that has come to rest."""
    said, total, ends = ledger_findings(recorder.batches())
    in_log = 0
    for topic in ("changes.crm.customer", "changes.erp.customer", "commands.customer"):
        for partition, (_, high) in recorder.ends(topic).items():
            name = f"{topic}/{partition}"
            in_log += high if topic.startswith("changes") else 0
            if ends.get(name, 0) != high:
                said.append(f"{name} was judged to {ends.get(name, 0)} of {high}")
    acknowledged = load.acknowledged.total()
    if not acknowledged == in_log == total["received"] or unanswered or load.refused:
        said.append(
            f"{acknowledged} acknowledged, {in_log} in the log, {total['received']} judged, "
            f"{unanswered} never answered, {load.refused} refused"
        )
    wrong, revisions = revision_findings(recorder.revisions(), load.last)
    if revisions != total["revisions"]:
        said.append(f"the ledger counts {total['revisions']} revisions, there are {revisions}")
    held = sum(case["reason"] not in history.ALARMS for case in recorder.cases())
    if held != total["quarantined"]:
        said.append(f"the ledger counts {total['quarantined']} held, there are {held} cases")
    figures = {"acknowledged": acknowledged, "revisions": revisions, "account": dict(sorted(total.items()))}
    return said + wrong[:SHOWN], figures
