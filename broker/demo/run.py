"""Runs the story from beginning to end, prints the closing account, and leaves the console up until Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from broker.console.users import make_login_link
from broker.demo import scenes, scenes_review
from broker.demo.account import closing_account
from broker.demo.narrator import Narrator, NotSeen, Unexpected
from broker.demo.world import CUSTOMERS, REVIEWER, World
from broker.gate.decision import Outcome

QUIET_S = 1.0
HELD_EXPECTED = 5
"""Two writes by the ERP of fields it does not own, and the three hostile records: nothing else is held."""


def run(home: Path, *, once: bool) -> int:
    """The demo; returns the exit status: 0 only if every expected thing was seen and the account balances."""
    tell = Narrator()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)  # SIGINT too: a shell's background job is started with it ignored
    try:
        with World(home, tell) as world:
            document = _play(world)
            _write(home, document)
            if not once:
                _stay(world)
        return 0
    except KeyboardInterrupt:
        tell.say("Ended; no process is left behind.")
        return 130 if once else 0
    except (NotSeen, Unexpected) as error:
        tell.console.print(f"\n{error}", markup=False, style="red")
        return 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _play(world: World) -> dict[str, Any]:
    began = time.monotonic()
    for scene in (
        scenes.backfill,
        scenes.edit_reaches_erp,
        scenes.own_field,
        scenes.partly_accepted,
        scenes_review.review,
        scenes_review.hostile,
        scenes_review.killed,
    ):
        scene(world)
    document = _close(world)
    document["seconds"] = round(time.monotonic() - began, 1)
    return document


def _close(world: World) -> dict[str, Any]:
    """8. The account balances, the ledger verifies, the systems agree, each sync in one sentence."""
    tell, seen = world.narrator, world.watch.seen
    tell.step(8, "The closing account")
    tell.wait(
        "Everything has come to rest",
        lambda: _at_rest(world),
        timeout_s=120,
        trouble=lambda: _under_way(world),
    )
    document = closing_account(seen)
    counts = [(outcome.value.replace("_", " "), document[outcome.value]) for outcome in Outcome]
    total = sum(count for _, count in counts)
    tell.table("The open account", ("outcome", "changes"), [*counts, ("in", f"{document['in']} = {total}")])
    tell.table(
        "Times, ms",
        ("hop", "count", "p50", "p99", "max"),
        [(name, *hop.values()) for name, hop in document["latency_ms"].items()],
    )
    held = len(seen.cases)
    tell.expect(document["balanced"], f"{document['in']} changes in, each with one outcome")
    tell.expect(
        not document["ledger_faults"],
        f"the ledger verifies: {len(seen.ledger)} batches, each follows from the one before",
    )
    tell.expect(document["lost"] == 0, "nothing lost")
    tell.expect(document["doubled"] == 0, "nothing doubled")
    tell.expect(document["reordered"] == 0, "nothing out of order")
    tell.expect(
        document["gaps"] == 0, f"no gap in {document['revisions']} revisions of {len(seen.by_key)} records"
    )
    tell.expect(held == HELD_EXPECTED, f"{held} writes were held, all of them for a reason shown above")
    differing = differing_records(world)
    tell.expect(
        not differing,
        f"all {CUSTOMERS} customers are the same in the CRM, in the ERP and in the authoritative record",
    )
    for sync in world.console.syncs():
        tell.say(sync["sentence"])
    return document


def _at_rest(world: World) -> bool:
    """Whether everything published was judged, acknowledged, and nothing more came for two seconds."""
    before = _figures(world)
    time.sleep(QUIET_S)
    published, judged, revisions, *answered = before
    return _figures(world) == before and published == judged and min(answered) >= revisions


def _figures(world: World) -> tuple[int, ...]:
    """Changes published and judged, revisions, and how many of them the ERP's and the CRM's sink answered for."""
    seen = world.watch.seen
    answered = (seen.applied("erp"), seen.applied("crm"))
    return (sum(seen.changes.values()), seen.received, len(seen.revisions), *answered)


def _under_way(world: World) -> str:
    """What has not come to rest, in figures, and the ends of the logs."""
    names = ("changes published", "judged", "revisions", "answered for by the ERP's sink", "by the CRM's")
    seen = world.watch.seen
    figures = [f"{name} {count}" for name, count in zip(names, _figures(world), strict=True)]
    figures += [f"held {len(seen.cases)}", f"inputs paused {seen.trail_of('paused')}"]
    return f"{', '.join(figures)}.\n{world.trouble()}"


def differing_records(world: World) -> list[str]:
    """Customers whose values are not the same everywhere."""
    differing = []
    crm, erp = world.crm.rows(), world.erp.rows()
    for key, revisions in world.watch.seen.by_key.items():
        values = world.values(revisions[-1].value)
        here, there = crm[key], erp[key]
        differing += [
            f"{key}.{name}"
            for name in ("name", "email", "phone", "credit_limit")
            if not values[name] == here[name] == there[name]
        ]
    return differing


def _write(home: Path, document: dict[str, Any]) -> None:
    path = home / "account.json"
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def _stay(world: World) -> None:
    tell = world.narrator
    link = make_login_link(world.machine.settings.users_path, REVIEWER, world.machine.console_url)
    tell.say("")
    tell.say(f"The console stays up at {world.machine.console_url} until Ctrl-C.")
    tell.say(f"Sign in as {REVIEWER} (once, within ten minutes): {link}")
    sys.stdout.flush()
    threading.Event().wait()
