"""The gate's rules a second time: slow, obvious, and written from design sections 4 to 6 instead of from the code.

It knows whole histories of one object, plain dictionaries and nothing of the product: no import of it may stand here.
Where the design leaves a choice open, the rule is spelled out beside the line that follows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tests.oracle_record import (
    HOUR,
    PARKED_MS,
    QUESTION_MS,
    REMEMBERED_MAX,
    REMEMBERED_MS,
    Brake,
    Question,
    Record,
    Waiting,
)
from tests.oracle_words import (
    STOPPED,
    STOPPING,
    Again,
    Ask,
    Expected,
    Law,
    Order,
    Reset,
    Said,
    Step,
    Tick,
    Write,
    compare,
    incarnation_of,
    outcome_of,
    reason_of,
)


class Oracle:
    """Says what must come of each step of a history."""

    def __init__(self, law: Law) -> None:
        self.whole = self.law = law
        """`law` = the one in force where the record in hand stands in the log."""
        self.records: dict[str, Record] = {}
        self.gate_ms = 0
        self.confirmed: dict[str, int] = {}

    def step(self, step: Step) -> Expected:
        self.gate_ms = max(self.gate_ms, step.received_ms)
        self.law = self.whole.at(self.gate_ms)
        if isinstance(step, Tick):
            self._tick()
            return Expected()
        if isinstance(step, Reset):
            self.confirmed[step.system] = max(self.confirmed.get(step.system, 0), step.incarnation)
            return Expected()
        if isinstance(step, Order):
            return Expected()
        if isinstance(step, Again):
            return self._again(step)
        if isinstance(step, Ask):
            return self._ask(step)
        self.law = self.whole.at(step.received_ms)
        record = self.records.setdefault(step.key, Record())
        return self._told(record, self._judge(record, step))

    def enact(self, law: Law) -> None:
        """From now on another law is in force; what was accepted stays."""
        self.whole = law

    def _told(self, record: Record, expected: Expected) -> Expected:
        expected.revision = record.revision
        expected.values = None if record.values is None else dict(record.values)
        return expected

    def _again(self, step: Again) -> Expected:
        """Judged as on its first day, by today's law; unless something of it is accepted, nothing remains of it."""
        record = self.records.setdefault(step.write.key, Record())
        tried = deepcopy(record)
        expected = self._judge(tried, replace(step.write, received_ms=self.gate_ms), again=True)
        expected.cases = 0
        if expected.outcome in ("accepted", "partly_accepted"):
            record = self.records[step.write.key] = tried
        else:
            expected.changed, expected.questions = None, 0
        return self._told(record, expected)

    def _ask(self, step: Ask) -> Expected:
        """A steward puts the values of a case to the owners, once per case and field; no value changes by it."""
        record = self.records.setdefault(step.write.key, Record())
        asked = {(q.case, q.field) for q in record.questions}
        fields = [n for n in sorted(step.fields) if n in self.law.owners and (step.case, n) not in asked]
        record.questions += [Question(n, step.write.values.get(n), self.gate_ms, step.case) for n in fields]
        return self._told(record, Expected(questions=len(fields)))

    def revision(self, key: str) -> int:
        return self.records[key].revision if key in self.records else 0

    # -- one change

    def _judge(self, record: Record, write: Write, *, again: bool = False) -> Expected:
        listed = {*self.law.policies, *self.law.readers, *self.whole.owners.values()}
        if write.system not in listed | {handover.to for handover in self.whole.handovers}:
            return Expected("quarantined", "system_not_listed", cases=1)
        if incarnation_of(write.event) > self.confirmed.get(write.system, 0):
            return Expected("quarantined", "unrecorded_reset", cases=1)
        if not again:
            if record.not_accepted.get(write.system) == write.event:
                return Expected("duplicate", "duplicate")
            if any((w.write.system, w.write.event) == (write.system, write.event) for w in record.waiting):
                return Expected("duplicate", "duplicate")
        if write.system not in self.law.observed:
            return self._kind(record, write)
        expected = self._kind(deepcopy(record), write)  # watched: judged, and nothing follows
        if expected.outcome == "duplicate":
            return expected
        return Expected("observed", expected.reason)

    def _kind(self, record: Record, write: Write) -> Expected:
        if write.deletes:
            return self._delete(record, write)
        if record.values is None:
            return self._missing(record, write)
        return self._existing(record, write)

    def _set(self, write: Write) -> list[str]:
        """The fields that a write sets; nothing else of it is judged."""
        names = set(self.law.owners) if write.fields is None else set(write.fields)
        return sorted(names - (write.unavailable & set(self.law.owners)))

    def _existing(self, record: Record, write: Write) -> Expected:
        assert record.values is not None
        said = []
        for name in self._set(write):
            if name not in self.law.owners:
                said.append(Said(name, "held", "unknown_field"))
            elif self.law.owners[name] == write.system:
                said.append(self._own(record, write, name, record.values[name]))
            else:
                said.append(self._foreign(record, write, name))
        news = [s for s in said if s.verdict != "neutral"]
        if not news and any(s.reason == "duplicate" for s in said):
            return Expected("duplicate", "duplicate")
        return self._conclude(record, write, said, dict(record.values))

    def _own(self, record: Record, write: Write, name: str, current: Any, *, born: bool = False) -> Said:
        value = write.values.get(name)
        writer, event = record.last.get(name, ("", ""))
        event = event if writer == write.system else ""
        before = record.former.get((name, write.system), "")
        if not event and before and compare(write.event, before) != "newer":
            return Said(name, "neutral", "stale")  # others owned it since
        standing = compare(write.event, event) if event else "newer"
        if standing in ("same", "conflict") and value != current:
            return Said(name, "held", "version_conflict")
        if standing == "same":
            return Said(name, "neutral", "duplicate")
        if standing == "older":
            return Said(name, "neutral", "stale")
        if value == current and not (born and name == self.law.key_field):
            return Said(name, "neutral", "echo")
        return Said(name, "accepted")

    def _foreign(self, record: Record, write: Write, name: str) -> Said:
        assert record.values is not None
        value = write.values.get(name)
        if value == record.values[name]:
            return Said(name, "neutral", "echo")
        newest = record.replaced[-REMEMBERED_MAX:]
        if any(old[name] == value for when, old in newest if self.gate_ms - when < REMEMBERED_MS):
            return Said(name, "neutral", "late_echo")
        return self._not_owned(write, name)

    # -- a record that does not exist

    def _missing(self, record: Record, write: Write) -> Expected:
        if write.system != self.law.create:
            return self._early(record, write)
        former = self._against_former_life(record, write)
        if former is not None:
            return former
        # what waits is merged where its writer still owns it
        merged = [w for w in record.waiting if self.gate_ms - w.write.received_ms <= PARKED_MS]
        merged = [w for w in merged if w.own & self.law.owned_by(w.write.system)]
        base: dict[str, Any] = dict.fromkeys(self.law.owners)
        last: dict[str, tuple[str, str]] = {}
        for waiting in merged:
            for name in waiting.own & self.law.owned_by(waiting.write.system):
                base[name] = waiting.write.values.get(name)
                last[name] = (waiting.write.system, waiting.write.event)
        said = [self._at_creation(record, write, name, base) for name in self._set(write)]
        if not any(s.field == self.law.key_field and s.verdict == "accepted" for s in said):
            lacking = Said(self.law.key_field, "held", "incomplete_record")
            return self._stop(record, write, [lacking, *(s for s in said if s.verdict != "accepted")])
        self._part_with_former_owners(record)
        for (
            name,
            owner,
        ) in self.law.owners.items():  # what is its owner's again begins with its owner's last word
            if name not in record.last and (name, owner) in record.former:
                record.last[name] = (owner, record.former[name, owner])
        record.last |= last
        record.waiting = [w for w in record.waiting if w not in merged]
        record.ended_by = None
        expected = self._conclude(record, write, said, base)
        filled = {name for name, value in base.items() if value is not None}
        assert expected.changed is not None
        expected.changed |= filled
        return expected

    def _at_creation(self, record: Record, write: Write, name: str, base: dict[str, Any]) -> Said:
        if name not in self.law.owners:
            return Said(name, "held", "unknown_field")
        if self.law.owners[name] == write.system:
            return self._own(record, write, name, base[name], born=True)
        if write.values.get(name) in (None, base[name]):
            # whoever creates cannot know yet what others own: null says "nothing" there
            return Said(name, "neutral", "echo")
        return self._not_owned(write, name)

    def _not_owned(self, write: Write, name: str) -> Said:
        if write.system in self.law.former.get(name, ()):
            return Said(name, "held", "late_owner")
        return Said(name, STOPPING[self.law.policies.get(write.system, "quarantine")], "not_owner")

    def _against_former_life(self, record: Record, write: Write) -> Expected | None:
        """Versions never fall, not even from one life of a record to the next (I4)."""
        if record.ended_by is None:
            return None
        mine = {event for system, event in (*record.last.values(), record.ended_by) if system == write.system}
        standings = {compare(write.event, event) for event in mine}
        if "same" in standings:
            return Expected("duplicate", "duplicate")
        if "conflict" in standings:
            return self._stop(record, write, [Said(self.law.key_field, "held", "version_conflict")])
        return Expected("stale", "stale") if "older" in standings else None

    def _early(self, record: Record, write: Write) -> Expected:
        own = self.law.owned_by(write.system) & set(self._set(write))
        if not own:
            verdict = STOPPING[self.law.policies.get(write.system, "quarantine")]
            verdict = "held" if verdict == "proposed" else verdict  # only a value can be proposed
            said = [Said(n, verdict, "not_create_authority") for n in self.law.known(self._set(write))]
            return self._stop(record, write, said + self._unknown(write))
        # a version that was accepted in a former life, or that waits already, is not news
        waits = {name: (w.write.system, w.write.event) for w in record.waiting for name in w.own}
        known = {name: self._last_of(record, write.system, name) for name in own}
        known |= {name: event for name, (writer, event) in waits.items() if writer == write.system}
        standings = {name: compare(write.event, known[name]) for name in own if known.get(name)}
        if "conflict" in standings.values():
            return self._stop(record, write, [Said(self.law.key_field, "held", "version_conflict")])
        if set(standings) == own and "newer" not in standings.values():
            again = "duplicate" if "same" in standings.values() else "stale"
            return Expected(again, again)
        own = {name for name in own if standings.get(name, "newer") == "newer"}
        # the last per writer and field; what it does not set again goes on waiting
        for waiting in record.waiting:
            if waiting.write.system == write.system:
                waiting.own -= own
        record.waiting = [w for w in record.waiting if w.own]
        record.waiting.append(Waiting(write, own))
        if self._unknown(write):  # what it owns waits all the same
            record.not_accepted[write.system] = write.event
            return Expected("quarantined", "unknown_field", cases=1)
        return Expected("parked", "record_not_yet")

    def _unknown(self, write: Write) -> list[Said]:
        return [Said(n, "held", "unknown_field") for n in self._set(write) if n not in self.law.owners]

    # -- a delete

    def _delete(self, record: Record, write: Write) -> Expected:
        key = self.law.key_field
        if record.values is None:
            return Expected("echo", "already_deleted")
        if write.system != self.law.delete:
            verdict = STOPPING[self.law.policies.get(write.system, "quarantine")]
            verdict = "held" if verdict == "proposed" else verdict
            gone = set(self.law.owners) - self.law.owned_by(write.system)
            return self._stop(record, write, [Said(key, verdict, "not_delete_authority")], drifted=gone)
        mine = {event for system, event in record.last.values() if system == write.system}
        standings = {compare(write.event, event) for event in mine}
        if standings & {"same", "conflict"}:
            return self._stop(record, write, [Said(key, "held", "version_conflict")])
        if "older" in standings:
            return Expected("stale", "stale")
        record.revision += 1
        record.values = None
        record.replaced.clear()
        record.brakes.clear()
        record.questions.clear()
        record.ended_by = (write.system, write.event)
        self._part_with_former_owners(record)
        for name, owner in self.law.owners.items():
            if (
                owner == write.system or name not in record.last
            ):  # of what nobody wrote, this is the last word too
                record.last[name] = (write.system, write.event)
        record.not_accepted[write.system] = write.event  # sent again, it must not end the next life
        return Expected("accepted", "", changed=frozenset(self.law.owners))

    # -- what follows

    def _conclude(self, record: Record, write: Write, said: list[Said], base: dict[str, Any]) -> Expected:
        accepted = {s.field for s in said if s.verdict == "accepted"}
        stopped = {s.field for s in said if s.verdict in STOPPED}
        if stopped:
            record.not_accepted[write.system] = write.event
        late = {s.field for s in said if s.reason == "late_echo"}
        foreign = {s.field for s in said if self.law.owners.get(s.field, write.system) != write.system}
        again = self._brake(record, write.system, (stopped | late) & foreign)
        expected = Expected(outcome_of(said), reason_of(said), cases=any(s.verdict == "held" for s in said))
        expected.reasserted = (write.system, again) if again else None
        record.questions = [q for q in record.questions if q.field not in accepted]
        asked = [(q.field, q.value) for q in record.questions]
        for s in said:
            question = (s.field, write.values.get(s.field))
            if s.verdict == "proposed" and question not in asked:
                record.questions.append(Question(*question, self.gate_ms))
                expected.questions += 1
        if accepted:
            if record.values is not None:
                record.replaced.append((write.received_ms, dict(record.values)))
            news = {name: write.values.get(name) for name in accepted}
            record.values = base | news
            self._part_with_former_owners(record)
            stale = {s.field for s in said if s.reason == "stale"}
            for name in set(self._set(write)) & self.law.owned_by(write.system) - stale - stopped:
                record.last[name] = (write.system, write.event)
            expected.changed = frozenset(name for name in accepted if base[name] != news[name])
        elif again:
            self._part_with_former_owners(record)
            expected.changed = frozenset()
        if expected.changed is not None:
            record.revision += 1
        return expected

    def _part_with_former_owners(self, record: Record) -> None:
        """A revision names the owners of today; what others had said of a field counts when it comes back to them."""
        for name, (writer, event) in list(record.last.items()):
            if writer != self.law.owners[name]:
                record.former[name, writer] = event
                del record.last[name]

    def _last_of(self, record: Record, system: str, name: str) -> str:
        writer, event = record.last.get(name, ("", ""))
        return event if writer == system else record.former.get((name, system), "")

    def _stop(self, record: Record, write: Write, said: list[Said], drifted: Iterable[str] = ()) -> Expected:
        record.not_accepted[write.system] = write.event
        again = self._brake(record, write.system, drifted)
        expected = Expected(outcome_of(said), reason_of(said), cases=any(s.verdict == "held" for s in said))
        if again:
            self._part_with_former_owners(record)
            record.revision += 1
            expected.changed, expected.reasserted = frozenset(), (write.system, again)
        return expected

    def _brake(self, record: Record, system: str, drifted: Iterable[str]) -> frozenset[str]:
        """The fields to send again now; the others are owed."""
        if system not in self.law.readers:
            return frozenset()
        visible = self.law.readers[system]
        now = set()
        for name in drifted:
            if visible is not None and name not in visible:
                continue
            brake = record.brakes.get((system, name))
            if brake is None or self.gate_ms - brake.last_ms > 2 * HOUR:
                record.brakes[system, name] = Brake(1, self.gate_ms)
                now.add(name)
            elif self.gate_ms >= brake.free_ms:
                record.brakes[system, name] = Brake(brake.count + 1, self.gate_ms)
                now.add(name)
            else:
                brake.owed = True
        return frozenset(now)

    def _tick(self) -> None:
        for record in self.records.values():
            record.waiting = [w for w in record.waiting if self.gate_ms - w.write.received_ms <= PARKED_MS]
            record.questions = [q for q in record.questions if self.gate_ms <= q.asked_ms + QUESTION_MS]
            due: dict[str, set[str]] = {}
            for (system, name), brake in record.brakes.items():
                if brake.owed and self.gate_ms >= brake.free_ms:
                    due.setdefault(system, set()).add(name)
            for system, names in due.items():
                for name in names - self.law.others_shown(system):  # by the law of today
                    record.brakes[system, name].owed = False
                if still := names & self.law.others_shown(system):
                    self._brake(record, system, still)
                    self._part_with_former_owners(record)
                    record.revision += 1
