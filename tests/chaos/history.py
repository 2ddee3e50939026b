"""Judges a history of changes from outside: JSON lines in, findings out. Imports nothing of the product.

`python -I tests/chaos/history.py history.jsonl` prints counts and findings, and leaves with 1 if there is a finding.
A history is written by those who sent and read, never by the gate; docs/reference/history.md says what each line holds.
Event ids of one writer sort in the order in which it wrote. `again` = the owner's values sent once more, nothing new.
Findings: *lost*, *doubled*, *reordered*, *foreign* (a value nobody was entitled to write), *unbalanced* (the account
does not add up), *diverged* (a reader shows something else than the accepted writes make).
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from typing import Any

FINDINGS = ("lost", "doubled", "reordered", "foreign", "unbalanced", "diverged")
ALARMS = ("holds_rose", "owner_went_back", "write_war", "parked_expired")
"""Reasons of cases that tell people something beside the outcome of a change."""
OUTCOME_LINES = ("echo", "stale", "parked", "refused", "proposed", "observed", "partly_accepted")
ANSWERS = ("redriven", "command_refused", "proposal_opened")
Line = dict[str, Any]
Name = tuple[str, str]


def place(line: Line) -> tuple[str, int, int]:
    return line["topic"], line["partition"], line["offset"]


class History:
    """The lines by kind, and what was found in them."""

    def __init__(self, lines: list[Line]) -> None:
        self.by_kind: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            self.by_kind[line["kind"]].append(line)
        self.lines = lines
        self.findings: list[Line] = []
        head = lines[0] if lines and lines[0]["kind"] == "history" else {}
        self.holds, self.readers = set(head.get("holds", ())), head.get("readers", [])
        self.input_kind = "received" if "inputs" in self.holds else "sent"
        self.laws: dict[int, list[Line]] = defaultdict(list)
        for law in self.by_kind["law"]:
            self.laws[law["version"]].append(law)
        self.wrote: dict[Name, Line] = {
            (line["writer"], line["event"]): line
            for kind in ("unsure", "sent")
            for line in self.by_kind[kind]
        }
        self.cases = {case["case"]: case for case in self.by_kind["case"]}
        self.ends = self._ends()

    def _ends(self) -> dict[str, int]:
        """Where the ledger says that each input has been judged to."""
        ends: dict[str, int] = {}
        for batch in self.by_kind["batch"]:
            for name, offset in batch["positions"].items():
                ends[name] = max(offset, ends.get(name, 0))
        return ends

    def found(self, finding: str, what: str, **about: Any) -> None:
        self.findings.append({"finding": finding, "what": what, **about})

    def law(self, line: Line) -> Line:
        """The law under which a record was decided: of its map version, the latest in force at its time."""
        known = [law for law in self.laws[line["version"]] if law["from_ms"] <= line["at_ms"]]
        nobody = {"owners": {}, "create": None, "deletes": None}
        return max(known, key=lambda law: law["from_ms"]) if known else nobody

    def waits(self, line: Line) -> bool:
        """Whether a record stands in an input that was cut off and is not judged any further."""
        name = f"{line['topic']}/{line['partition']}"
        cuts = {f"{cut['topic']}/{cut['partition']}" for cut in self.by_kind["cut"]}
        return name in cuts and line["offset"] >= self.ends.get(name, 0)


def whole(history: History) -> None:
    """Nothing is missing at the ends of the file."""
    last = history.lines[-1] if history.lines else {}
    if not history.lines or history.lines[0]["kind"] != "history":
        history.found("lost", "the history does not begin with its first line")
    if last.get("kind") != "end" or last["lines"] != len(history.lines):
        history.found("lost", "lines of the history itself are missing")


def arrivals(history: History) -> None:
    """What Kafka acknowledged is in the log, and nothing else is."""
    if "inputs" not in history.holds:
        return
    begins = {(line["topic"], line["partition"]): line["begin"] for line in history.by_kind["input"]}
    received = {place(line): line for line in history.by_kind["received"]}
    named = {(line["writer"], line["event"]) for line in received.values()}
    for sent in history.by_kind["sent"]:
        if sent["offset"] is None and (sent["writer"], sent["event"]) in named:
            continue  # acknowledged when it was sent again by the client, which is then not told where it stands
        at = received.get(place(sent))
        if at is None and sent["offset"] is not None and sent["offset"] < begins.get(place(sent)[:2], 0):
            continue
        if at is None or (at["writer"], at["event"]) != (sent["writer"], sent["event"]):
            history.found("lost", "acknowledged by Kafka and not in the log", **_about(sent))
    for line in received.values():
        if line.get("event") is not None and (line["writer"], line["event"]) not in history.wrote:
            history.found("foreign", "in the log, and nobody sent it", **_about(line))
    present = Counter(at[:2] for at in received)
    told = {(li["topic"], li["partition"]): li["end"] - li["begin"] for li in history.by_kind["input"]}
    for name in {*present, *told}:
        if present[name] != told.get(name):
            history.found("lost", "records of an input are not told", topic=name[0], partition=name[1])


def outcomes(history: History) -> Counter[str]:
    """Every acknowledged change has exactly one outcome; returns how many have each."""
    copies: dict[Name, list[Line]] = defaultdict(list)
    for line in history.by_kind[history.input_kind]:
        if line.get("event") is not None:
            copies[line["writer"], line["event"]].append(line)
    traces = _traces(history)
    causal: Counter[Name] = Counter(
        (line["writer"], line["event"]) for line in history.by_kind["revision"] if not line["again"]
    )
    counted: Counter[str] = Counter()
    for line in history.by_kind["line"]:
        if line["what"] == "redriven" and line["result"] in ("accepted", "partly_accepted"):
            case = history.cases.get(line["case"], {"writer": None, "event": None})
            causal[case["writer"], case["event"]] -= 1
    for name, at in copies.items():
        counted.update(_outcome_of(history, name, at, traces, causal.pop(name, 0)))
    for name, count in causal.items():
        if count and name in history.wrote:
            history.found("foreign", "a change that is not in the log has an effect", event="/".join(name))
        elif count:
            history.found("foreign", "nobody sent what caused a revision", event="/".join(name))
    for at, said in traces.items():
        history.found("foreign", f"{said[0]} without a change", topic=at[0], partition=at[1], offset=at[2])
    return counted


def _traces(history: History) -> dict[tuple[str, int, int], list[str]]:
    traces: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    for case in history.by_kind["case"]:
        if case["reason"] not in ALARMS:
            traces[place(case)].append(case["outcome"])
    for line in history.by_kind["line"]:
        if line["what"] in OUTCOME_LINES:
            traces[place(line)].append(line["what"])
    return traces


def _outcome_of(history: History, name: Name, at: list[Line], traces: Any, direct: int) -> Counter[str]:
    """Outcomes of the copies of one event; `direct` = revisions that it caused when it was read."""
    counted, bare = Counter[str](), 0
    about = {"event": "/".join(name), "key": history.wrote.get(name, {}).get("key")}
    for line in at:
        said = traces.pop(place(line), [])
        if history.waits(line):
            if said or direct:
                history.found("lost", "judged behind a gap that nobody has decided on", **about)
            continue
        if len(said) > 1:
            history.found("doubled", f"two outcomes of one change: {', '.join(said)}", **about)
        counted.update(said[:1])
        bare += not said
    direct -= counted["partly_accepted"]
    if direct == 1:
        counted["accepted"] += 1
        bare -= 1
    if direct > 1 or bare < 0:
        history.found("doubled", "one change took effect more often than once", **about)
    if direct < 0:
        history.found("lost", "said to be accepted, and in no revision", **about)
    if bare > 0 and not counted:
        history.found("lost", "acknowledged, and has no outcome", **about)
    elif bare > 0:
        counted["duplicate"] += bare
    return counted


def ledger(history: History, counted: Counter[str]) -> None:
    """The account adds up: per batch, in all, and with what is in the topics."""
    if "ledger" not in history.holds:
        return
    last: dict[int, Line] = {}
    total: Counter[str] = Counter()
    for batch in history.by_kind["batch"]:
        total.update(batch["account"])
        _linked(history, batch, last.get(batch["slot"]))
        last[batch["slot"]] = batch
    for outcome in sorted(set(total) | set(counted)):
        if total[outcome] != counted[outcome]:
            said = f"the ledger counts {total[outcome]} {outcome}, the topics hold {counted[outcome]}"
            history.found("unbalanced", said)
    written = sum(batch["revisions"] for batch in history.by_kind["batch"])
    if written != len(history.by_kind["revision"]):
        said = f"the ledger counts {written} revisions, there are {len(history.by_kind['revision'])}"
        history.found("unbalanced", said)
    cuts = {f"{cut['topic']}/{cut['partition']}": cut["before"] for cut in history.by_kind["cut"]}
    for line in history.by_kind["input"]:
        name = f"{line['topic']}/{line['partition']}"
        judged = history.ends.get(name, 0)
        if name in cuts:
            if judged >= cuts[name]:
                history.found("lost", "an input went on over changes that were deleted unjudged", input=name)
        elif judged != line["end"]:
            history.found("lost", f"judged to {judged} of {line['end']}", input=name)


def _linked(history: History, batch: Line, before: Line | None) -> None:
    where = {"slot": batch["slot"], "sequence": batch["sequence"]}
    old = before or {"sequence": 0, "chain": "", "positions": {}}
    if batch["sequence"] != old["sequence"] + 1 or batch["previous"] != old["chain"]:
        history.found("unbalanced", "a batch does not follow from the one before it", **where)
    if sum(batch["account"].values()) != batch["received"]:
        history.found("unbalanced", "more or fewer outcomes than changes in a batch", **where)
    moved = 0
    for name in {*old["positions"], *batch["positions"]}:
        step = batch["positions"].get(name, -1) - old["positions"].get(name, 0)
        if step < 0:
            history.found("reordered", f"the gate went backwards in {name}", **where)
        moved += step
    if moved != batch["received"] + batch["commands"]:
        said = f"positions moved by {moved}, {batch['received'] + batch['commands']} were read"
        history.found("unbalanced", said, **where)


def revisions(history: History) -> dict[str, list[Line]]:
    """Numbers without gap, values only of those entitled to them; returns the revisions of every key."""
    keys, waiting = defaultdict[str, list[Line]](list), defaultdict[str, list[Line]](list)
    for line in sorted(history.by_kind["revision"], key=place):
        keys[line["key"]].append(line)
    parked = {(li["writer"], li["event"]) for li in history.by_kind["line"] if li["what"] == "parked"}
    for name in parked & set(history.wrote):
        waiting[history.wrote[name]["key"]].append(history.wrote[name])
    for key, told in keys.items():
        if len({line["partition"] for line in told}) > 1:
            history.found("reordered", "a key stands in two partitions", key=key)
        before: Line = {"revision": 0, "values": None}
        newest: dict[tuple[str, str], str] = {}
        for line in told:
            step = line["revision"] - before["revision"]
            if step != 1:
                finding = "lost" if step > 1 else "doubled" if step == 0 else "reordered"
                history.found(finding, f"revision {line['revision']} after {before['revision']}", key=key)
            _entitled(history, before, line, waiting[key], newest)
            before = line
    return keys


def _entitled(history: History, before: Line, line: Line, waiting: list[Line], newest: Any) -> None:
    """Whether a revision is what its cause was entitled to make of the one before."""
    old, new, law = before["values"] or {}, line["values"] or {}, history.law(line)
    about = {"key": line["key"], "revision": line["revision"], "event": f"{line['writer']}/{line['event']}"}
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    sent = history.wrote.get((line["writer"], line["event"]))
    if line["again"] and changed:
        history.found("foreign", "what was to be sent again is not what was in force", **about)
    if sent is None or line["again"]:
        return  # told by `outcomes`
    asked = sent["fields"] if sent["fields"] and sent["key"] == line["key"] else {}
    creates, ends = before["values"] is None, line["values"] is None
    entitled = law["deletes"] if ends else law["create"] if creates else line["writer"]
    if entitled != line["writer"] or sent["deletes"] != ends:
        history.found("foreign", "created or deleted by somebody who may not", **about)
    if ends:
        return
    owned = {name for name in {*new, *asked} if law["owners"].get(name) == line["writer"]}
    for name in sorted(changed):
        kept = name in owned and name in asked and asked[name] == new.get(name)
        if not kept and not _merged(law, name, new.get(name), waiting):
            history.found("foreign", f"{name} is not what its owner wrote", **about)
    for name in sorted(owned & set(asked)):
        last = newest.get((name, line["writer"]), "")
        if asked[name] != new.get(name) and last <= line["event"]:
            history.found("lost", f"the owner's {name} was left out", **about)
        elif name in changed and line["event"] <= last:
            finding = "doubled" if line["event"] == last else "reordered"
            history.found(finding, f"{name} of {line['event']} after that of {last}", **about)
        newest[name, line["writer"]] = max(last, line["event"])


def _merged(law: Line, name: str, value: Any, waiting: list[Line]) -> bool:
    """Whether a write of the owner waited for this record to be created with this value."""
    return any(
        w["writer"] == law["owners"].get(name) and (w["fields"] or {}).get(name) == value for w in waiting
    )


def reasons(history: History, keys: dict[str, list[Line]]) -> None:
    """An owner's change is only set aside for a reason that the history bears out."""
    for case in history.by_kind["case"]:
        sent = history.wrote.get((case["writer"], case["event"]))
        if sent is None or not sent["fields"] or case["reason"] not in ("not_owner", "late_owner"):
            continue
        owners = history.law(case)["owners"]
        if all(owners.get(name) == case["writer"] for name in sent["fields"]):
            history.found("lost", "an owner's change is held as if it were another's", **_about(sent))
    for line in history.by_kind["line"]:
        sent = history.wrote.get((line["writer"], line["event"]))
        if sent is None or line["what"] not in ("stale", "echo") or not sent["fields"]:
            continue
        told = keys.get(sent["key"], [])
        newer = any(r["writer"] == sent["writer"] and r["event"] >= sent["event"] for r in told)
        if line["what"] == "stale" and not newer:
            history.found("lost", "set aside as older, and nothing newer was accepted", **_about(sent))
        for name, value in sent["fields"].items():
            if line["what"] == "echo" and told and all((r["values"] or {}).get(name) != value for r in told):
                history.found("lost", f"set aside as an echo, but {name} never had it", **_about(sent))


def by_reference(history: History) -> None:
    """What is too large to be written is held by reference, and nothing else is."""
    large = {name for name, sent in history.wrote.items() if sent.get("unwritable")}
    for case in history.by_kind["case"]:
        is_large = (case["writer"], case["event"]) in large
        if case["reason"] not in ALARMS and is_large != (case["reason"] == "not_writable"):
            finding = "foreign" if is_large else "lost"
            history.found(finding, f"held as {case['reason']}, which it is not", case=case["case"])
    for line in history.by_kind["line"]:
        if line["what"] in OUTCOME_LINES and (line["writer"], line["event"]) in large:
            history.found("foreign", f"{line['what']}, and had to be held by reference", at=place(line))


def answers(history: History) -> None:
    """Every held change is answered once; every command of a person has one result."""
    if "refusals" in history.holds:
        told = Counter(line["case"] for line in history.by_kind["refusal"])
        wanted = {case["case"] for case in history.by_kind["case"] if case["reason"] not in ALARMS}
        for case in sorted(wanted | set(told)):
            if told[case] != 1 and case in wanted:
                finding = "doubled" if told[case] else "lost"
                history.found(finding, f"{told[case]} answers to a held change", case=case)
    results = Counter(
        place(line)
        for line in history.by_kind["line"]
        if line["what"] in ANSWERS or (line["what"] == "case_closed" and line["result"] == "keep")
    )
    for ordered in history.by_kind["ordered"]:
        count = results.pop(place(ordered), 0)
        if count != 1:
            history.found("doubled" if count else "lost", f"{count} results of a command", at=place(ordered))
    for at in results:
        history.found("foreign", "the result of a command that nobody gave", at=at)


def readers(history: History, keys: dict[str, list[Line]]) -> None:
    """No reader goes backwards or misses anything; in the end each shows what the accepted writes make."""
    at: dict[tuple[str, str], int] = {}
    for line in history.by_kind["applied"]:
        name = (line["reader"], line["key"])
        step = line["revision"] - at.get(name, 0)
        if step != 1:
            finding = "lost" if step > 1 else "reordered"
            history.found(
                finding, f"a reader went from {at.get(name, 0)} to {line['revision']}", key=line["key"]
            )
        at[name] = line["revision"]
    shown = {(line["reader"], line["key"]): line for line in history.by_kind["shows"]}
    for reader in history.readers:
        for key, told in keys.items():
            line = shown.pop((reader, key), None)
            last = (told[-1]["revision"], told[-1]["values"], told[-1]["revision"])
            if line is None or (line["revision"], line["values"], at.get((reader, key))) != last:
                history.found("diverged", f"{reader} does not show what is authoritative", key=key)
    for _, key in shown:
        history.found("diverged", "a reader shows what is not authoritative", key=key)


def _about(line: Line) -> Line:
    where = {"at": list(place(line))} if "offset" in line else {}
    return {"event": f"{line['writer']}/{line['event']}", "key": line.get("key"), **where}


def judge(lines: list[Line]) -> Line:
    """Counts, and everything that should not be."""
    history = History(lines)
    whole(history)
    arrivals(history)
    counted = outcomes(history)
    ledger(history, counted)
    keys = revisions(history)
    reasons(history, keys)
    by_reference(history)
    answers(history)
    readers(history, keys)
    found = Counter(finding["finding"] for finding in history.findings)
    inputs = [line for line in history.by_kind[history.input_kind] if line.get("event") is not None]
    return {
        "in": len(inputs),
        "behind_gap": sum(history.waits(line) for line in inputs),
        "revisions": len(history.by_kind["revision"]),
        "outcomes": dict(sorted(counted.items())),
        **{name: found[name] for name in FINDINGS},
        "findings": history.findings,
    }


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as history_file:  # noqa: PTH123 - plain on purpose
        verdict = judge([json.loads(text) for text in history_file])
    print(json.dumps({**verdict, "findings": verdict["findings"][:50]}))
    sys.exit(bool(verdict["findings"]))
