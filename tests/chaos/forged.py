"""A true small history, and forgeries of it: what the judge of histories is worth.

Nothing ran here. The true history is written out by hand; each forgery changes it in one place, as a gate, a Kafka or a
reader at fault would have left it, and says which finding has to name it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Line = dict[str, Any]
OWNERS = {"id": "crm", "name": "crm", "phone": "crm", "limit": "erp"}
HANDOVER_MS = 5000


def _sent(writer: str, offset: int, key: str, event: int, fields: Line | None, **more: Any) -> list[Line]:
    where = {"topic": f"changes.{writer}.c", "partition": int(key == "B"), "offset": offset}
    who = {"writer": writer, "event": f"seq:{event:04d}"}
    sent = {"kind": "sent", **who, "key": key, "fields": fields, "deletes": False, **where, **more}
    return [sent, {"kind": "received", **who, **where}]


def _revision(
    key: str, revision: int, cause: str, values: Line | None, at_ms: int, *, again: bool = False
) -> Line:
    writer, event = cause.split("/")
    return {
        "kind": "revision",
        "topic": "authoritative.c",
        "partition": int(key == "B"),
        "offset": revision * 2,
        "key": key,
        "revision": revision,
        "writer": writer,
        "event": f"seq:{int(event):04d}",
        "values": values,
        "again": again,
        "version": 1 if at_ms < HANDOVER_MS else 2,
        "at_ms": at_ms,
    }


def _case(number: int, offset: int, event: int, outcome: str, reason: str, at_ms: int, writer: str) -> Line:
    return {
        "kind": "case",
        "case": f"case-{number}",
        "writer": writer,
        "event": f"seq:{event:04d}",
        "topic": f"changes.{writer}.c",
        "partition": 0,
        "offset": offset,
        "outcome": outcome,
        "reason": reason,
        "version": 1 if at_ms < HANDOVER_MS else 2,
        "at_ms": at_ms,
    }


def _line(what: str, writer: str, event: int, partition: int, offset: int, **more: Any) -> Line:
    topic = more.pop("topic", f"changes.{writer}.c")
    where = {"topic": topic, "partition": partition, "offset": offset, "case": None, "result": None}
    return {"kind": "line", "what": what, "writer": writer, "event": f"seq:{event:04d}", **where, **more}


def _batch(slot: int, sequence: int, account: Line, revisions: int, commands: int, positions: Line) -> Line:
    return {
        "kind": "batch",
        "slot": slot,
        "sequence": sequence,
        "received": sum(account.values()),
        "commands": commands,
        "revisions": revisions,
        "account": account,
        "positions": positions,
        "chain": f"{slot}.{sequence}",
        "previous": f"{slot}.{sequence - 1}" if sequence > 1 else "",
    }


def _values(**given: Any) -> Line:
    return dict.fromkeys(OWNERS) | given


def true_history() -> list[Line]:
    """Two records; every kind of outcome that the campaign meets; a handover; a command; two readers."""
    a1 = _values(id="A", name="Ada", phone="1")
    a2, a3 = a1 | {"name": "Ada B"}, a1 | {"name": "Ada B", "limit": "9.00"}
    a5 = a3 | {"phone": "2"}
    b1 = _values(id="B", name="Bob", limit="5.00")
    lines = [
        {"kind": "history", "holds": ["inputs", "ledger", "refusals"], "readers": ["crm", "erp"]},
        {"kind": "law", "version": 1, "from_ms": 0, "owners": OWNERS, "create": "crm", "deletes": "crm"},
        {"kind": "law", "version": 2, "from_ms": 0, "owners": OWNERS, "create": "crm", "deletes": "crm"},
        {
            "kind": "law",
            "version": 2,
            "from_ms": HANDOVER_MS,
            "create": "crm",
            "deletes": "crm",
            "owners": OWNERS | {"phone": "erp"},
        },
        *_sent("crm", 0, "A", 1, a1),
        *_sent("crm", 1, "A", 2, {"name": "Ada B"}),
        *_sent("crm", 2, "A", 2, {"name": "Ada B"}),  # again: a duplicate
        *_sent("crm", 3, "A", 1, a1),  # older
        *_sent("erp", 0, "A", 1, {"limit": "9.00"}),
        *_sent("erp", 1, "A", 2, {"name": "Eve"}),  # another's field
        *_sent("erp", 2, "A", 3, {"limit": "9.00"}),  # an echo
        *_sent("erp", 3, "A", 4, {"phone": "2"}),  # after the handover
        *_sent("crm", 4, "A", 5, {"phone": "3", "name": "Ada B"}),  # too late: held
        *_sent("erp", 0, "B", 5, {"limit": "5.00"}),  # waits for its record
        *_sent("crm", 0, "B", 6, _values(id="B", name="Bob")),
        *_sent("crm", 1, "B", 7, None, deletes=True),
        *_sent("shop", 0, "A", 1, None),  # cannot be read
        {"kind": "ordered", "topic": "commands.c", "partition": 0, "offset": 0},
        {
            "kind": "received",
            "topic": "commands.c",
            "partition": 0,
            "offset": 0,
            "writer": "p",
            "event": None,
        },
        _revision("A", 1, "crm/1", a1, 1000),
        _revision("A", 2, "crm/2", a2, 1001),
        _revision("A", 3, "erp/1", a3, 1002),
        _revision("A", 4, "erp/2", a3, 1003, again=True),
        _revision("A", 5, "erp/4", a5, 6000),
        _revision("B", 1, "crm/6", b1, 1005),
        _revision("B", 2, "crm/7", None, 1006),
        _case(1, 1, 2, "quarantined", "not_owner", 1003, "erp"),
        _case(2, 4, 5, "quarantined", "late_owner", 6001, "crm"),
        _case(3, 0, 1, "unreadable", "unreadable", 1004, "shop"),
        *({"kind": "refusal", "case": f"case-{number}"} for number in (1, 2, 3)),
        _line("stale", "crm", 1, 0, 3),
        _line("echo", "erp", 3, 0, 2),
        _line("parked", "erp", 5, 1, 0),
        _line("redriven", "erp", 2, 0, 0, topic="commands.c", case="case-1", result="quarantined"),
        _batch(0, 1, {"accepted": 2, "duplicate": 1, "stale": 1}, 2, 0, {"changes.crm.c/0": 4}),
        _batch(
            *(0, 2, {"accepted": 1, "quarantined": 1, "echo": 1, "unreadable": 1}, 2, 0),
            {"changes.crm.c/0": 4, "changes.erp.c/0": 3, "changes.shop.c/0": 1},
        ),
        _batch(
            *(0, 3, {"accepted": 1, "quarantined": 1}, 1, 1),
            {"changes.crm.c/0": 5, "changes.erp.c/0": 4, "changes.shop.c/0": 1, "commands.c/0": 1},
        ),
        _batch(1, 1, {"parked": 1, "accepted": 2}, 2, 0, {"changes.crm.c/1": 2, "changes.erp.c/1": 1}),
    ]
    for topic, ends in {"crm": (5, 2), "erp": (4, 1), "shop": (1, 0)}.items():
        for partition, end in enumerate(ends):
            where = {"topic": f"changes.{topic}.c", "partition": partition}
            lines.append({"kind": "input", **where, "begin": 0, "end": end})
    lines.append({"kind": "input", "topic": "commands.c", "partition": 0, "begin": 0, "end": 1})
    for reader in ("crm", "erp"):
        for key, count in (("A", 5), ("B", 2)):
            applied = {"kind": "applied", "reader": reader, "key": key}
            lines += [{**applied, "revision": number} for number in range(1, count + 1)]
        lines.append({"kind": "shows", "reader": reader, "key": "A", "revision": 5, "values": a5})
        lines.append({"kind": "shows", "reader": reader, "key": "B", "revision": 2, "values": None})
    return [*lines, {"kind": "end", "lines": len(lines) + 1}]


class Draft:
    """A copy of the true history while it is forged."""

    def __init__(self) -> None:
        self.lines: list[Line] = json.loads(json.dumps(true_history()))

    def one(self, kind: str, **about: Any) -> Line:
        """The first line of a kind of which all this is said."""
        return next(
            li for li in self.lines if li["kind"] == kind and all(li.get(k) == v for k, v in about.items())
        )

    def drop(self, kind: str, **about: Any) -> None:
        self.lines.remove(self.one(kind, **about))

    def add(self, line: Line) -> None:
        self.lines.insert(-1, line)

    def sealed(self) -> list[Line]:
        """With a true last line again: the forger is no fool."""
        self.lines[-1] = {"kind": "end", "lines": len(self.lines)}
        return self.lines


def _revision_vanishes(draft: Draft) -> None:
    draft.drop("revision", key="A", revision=2)


def _effect_twice(draft: Draft) -> None:
    again = draft.one("revision", key="A", revision=5)
    draft.add({**again, "revision": 6, "offset": 99})


def _old_word_heard_again(draft: Draft) -> None:
    last = draft.one("revision", key="A", revision=5)
    values = last["values"] | {"name": "Ada"}
    draft.add({**last, "revision": 6, "offset": 99, "writer": "crm", "event": "seq:0001", "values": values})


def _number_used_twice(draft: Draft) -> None:
    draft.one("revision", key="A", revision=3)["revision"] = 2


def _older_after_newer(draft: Draft) -> None:
    first, second = draft.one("revision", key="A", revision=1), draft.one("revision", key="A", revision=2)
    first["offset"], second["offset"] = second["offset"], first["offset"]


def _foreign_value_leaks(draft: Draft) -> None:
    draft.one("revision", key="A", revision=3)["values"]["name"] = "Eve"


def _sent_again_with_another_value(draft: Draft) -> None:
    draft.one("revision", key="A", revision=4)["values"]["name"] = "Ada"


def _nobody_sent_it(draft: Draft) -> None:
    draft.one("revision", key="A", revision=3)["event"] = "seq:0666"


def _held_and_accepted(draft: Draft) -> None:
    draft.one("revision", key="A", revision=4)["again"] = False


def _case_vanishes(draft: Draft) -> None:
    draft.drop("case", case="case-1")
    draft.drop("refusal", case="case-1")


def _not_answered(draft: Draft) -> None:
    draft.drop("refusal", case="case-2")


def _answered_twice(draft: Draft) -> None:
    draft.add(draft.one("refusal", case="case-2"))


def _batch_vanishes(draft: Draft) -> None:
    draft.drop("batch", slot=0, sequence=2)


def _account_embellished(draft: Draft) -> None:
    account = draft.one("batch", slot=0, sequence=3)["account"]
    account["accepted"], account["quarantined"] = 2, 0


def _position_jumps(draft: Draft) -> None:
    draft.one("batch", slot=1, sequence=1)["positions"]["changes.crm.c/1"] = 3


def _gate_goes_back(draft: Draft) -> None:
    draft.one("batch", slot=0, sequence=2)["positions"]["changes.crm.c/0"] = 3


def _owner_held_as_another(draft: Draft) -> None:
    draft.one("case", case="case-2")["at_ms"] = HANDOVER_MS - 1
    draft.one("sent", writer="crm", event="seq:0005")["fields"].pop("name")


def _former_owner_heard(draft: Draft) -> None:
    draft.one("revision", key="A", revision=5).update(writer="crm", event="seq:0005")


def _deleted_by_anybody(draft: Draft) -> None:
    draft.one("law", version=1)["deletes"] = "erp"


def _log_forgets(draft: Draft) -> None:
    draft.drop("received", topic="changes.erp.c", partition=0, offset=3)


def _command_done_twice(draft: Draft) -> None:
    draft.add(draft.one("line", what="redriven"))


def _reader_goes_back(draft: Draft) -> None:
    draft.add({"kind": "applied", "reader": "erp", "key": "A", "revision": 4})


def _reader_stays_behind(draft: Draft) -> None:
    shown = draft.one("shows", reader="erp", key="A")
    shown.update(revision=4, values=draft.one("revision", key="A", revision=4)["values"])


def _reader_shows_what_never_was(draft: Draft) -> None:
    draft.one("shows", reader="crm", key="A")["values"]["name"] = "Eve"


def _gap_skipped(draft: Draft) -> None:
    draft.add({"kind": "cut", "topic": "changes.crm.c", "partition": 0, "before": 2})
    for offset in (0, 1):
        draft.drop("received", topic="changes.crm.c", partition=0, offset=offset)
    draft.one("input", topic="changes.crm.c", partition=0)["begin"] = 2


def _held_as_unwritable(draft: Draft) -> None:
    draft.one("case", case="case-1")["reason"] = "not_writable"


def _unwritable_and_written(draft: Draft) -> None:
    draft.one("sent", writer="erp", event="seq:0002")["unwritable"] = True


def _unwritable_and_set_aside(draft: Draft) -> None:
    draft.one("sent", writer="erp", event="seq:0003")["unwritable"] = True


FORGERIES: dict[str, tuple[Callable[[Draft], None], str]] = {
    "a revision vanishes": (_revision_vanishes, "lost"),
    "a change takes effect twice": (_effect_twice, "doubled"),
    "an old word that comes again is heard again": (_old_word_heard_again, "reordered"),
    "a revision's number is used twice": (_number_used_twice, "doubled"),
    "an older revision stands behind a newer one": (_older_after_newer, "reordered"),
    "a foreign value travels with another change": (_foreign_value_leaks, "foreign"),
    "what is sent again is not what was in force": (_sent_again_with_another_value, "foreign"),
    "a revision has a cause that nobody sent": (_nobody_sent_it, "foreign"),
    "a held change is accepted as well": (_held_and_accepted, "doubled"),
    "a case vanishes": (_case_vanishes, "lost"),
    "a held change is not answered": (_not_answered, "lost"),
    "a held change is answered twice": (_answered_twice, "doubled"),
    "a batch vanishes from the ledger": (_batch_vanishes, "unbalanced"),
    "an account is embellished": (_account_embellished, "unbalanced"),
    "a position jumps over a change": (_position_jumps, "unbalanced"),
    "the gate goes back to an older position": (_gate_goes_back, "reordered"),
    "an owner is held as if it were another": (_owner_held_as_another, "lost"),
    "a former owner is still heard": (_former_owner_heard, "foreign"),
    "a record is deleted by somebody who may not": (_deleted_by_anybody, "foreign"),
    "the log forgets an acknowledged change": (_log_forgets, "lost"),
    "a command is done twice": (_command_done_twice, "doubled"),
    "a reader goes backwards": (_reader_goes_back, "reordered"),
    "a reader stays behind": (_reader_stays_behind, "diverged"),
    "a reader shows what never was": (_reader_shows_what_never_was, "diverged"),
    "an input goes on over a gap": (_gap_skipped, "lost"),
    "a case that can be written is held by reference": (_held_as_unwritable, "lost"),
    "a case that cannot be written is written": (_unwritable_and_written, "foreign"),
    "what must be held by reference is set aside": (_unwritable_and_set_aside, "foreign"),
}


def forged(name: str) -> tuple[list[Line], str]:
    """(the forged history, the finding that has to name it)."""
    forge, finding = FORGERIES[name]
    draft = Draft()
    forge(draft)
    return draft.sealed(), finding
