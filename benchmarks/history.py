"""Judges a history of changes from outside: JSON lines in, findings out. Imports nothing of the product.

Lines: `sent` (writer, key, event, owner), `revision` (writer, event, key, revision, partition, offset, again), `held`
(writer, event). A change of the owner must end in exactly one revision, any other in exactly one held case; revisions
of a key rise by one and the owner's events in them never fall.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from itertools import pairwise


def judge(lines: list[dict]) -> dict[str, int]:
    """Findings; all but `sent` and `revisions` should be 0."""
    sent = [line for line in lines if line["kind"] == "sent"]
    revisions = [line for line in lines if line["kind"] == "revision"]
    ours = {(line["writer"], line["event"]) for line in sent}
    accepted = Counter((r["writer"], r["event"]) for r in revisions if not r["again"])
    held = Counter((line["writer"], line["event"]) for line in lines if line["kind"] == "held")
    findings = {"sent": len(sent), "revisions": len(revisions), "lost": 0, "doubled": 0, "foreign": 0}
    for line in sent:
        name = (line["writer"], line["event"])
        count = accepted[name] if line["owner"] else held[name]
        findings["lost"] += count == 0
        findings["doubled"] += max(0, count - 1)
        findings["foreign"] += accepted[name] if not line["owner"] else 0
    by_key: dict[str, list[dict]] = defaultdict(list)
    for revision in sorted(revisions, key=lambda r: (r["partition"], r["offset"])):
        by_key[revision["key"]].append(revision)
    findings["gaps"] = findings["reordered"] = 0
    for history in by_key.values():
        numbers = [revision["revision"] for revision in history]
        findings["gaps"] += sum(later != earlier + 1 for earlier, later in pairwise(numbers))
        findings["doubled"] += len(numbers) - len(set(numbers))
        events = [r["event"] for r in history if not r["again"] and (r["writer"], r["event"]) in ours]
        findings["reordered"] += sum(later < earlier for earlier, later in pairwise(events))
    return findings


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as history_file:  # noqa: PTH123 - plain on purpose
        print(json.dumps(judge([json.loads(line) for line in history_file])))
