"""A plan: the files of the next map, what they change for whom, and the map that they were compared with.

Pure. Its hash stands for all of it: whoever approved the hash approved these files on top of that map, and nothing
else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field, ValidationError

from ownership.changed import Change, Kind
from ownership.document import Document
from ownership.load import SYSTEMS_FILE, digest_of

PLAN_LENGTH_MAX = 64_000_000
"""Characters; a map of 1,000 objects has some 3 million."""
REPLAY_KEPT_MS = 86_400_000


class PlanRefused(Exception):
    """A plan cannot be used; the message says why, and what to do."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        self.code = code
        super().__init__(f"{detail} [{code}] {remedy}")


class PlannedChange(Document):
    """One thing that would be otherwise."""

    kind: Kind
    object: str
    fields: tuple[str, ...]
    systems: tuple[str, ...]
    words: str


class PlannedFlip(Document):
    """Changes that would come out otherwise."""

    object: str
    system: str
    fields: str
    before: str
    after: str
    count: int


class Replay(Document):
    """What became of the changes that are in the log, under the map in force and under the plan's."""

    since_ms: int
    made_ms: int
    judged: int
    reviewed_before: int
    """Cases for somebody, under the map in force."""
    reviewed_after: int
    begun: int
    """Records whose values at the beginning are not in the log any more."""
    flips: tuple[PlannedFlip, ...]


class Plan(Document):
    """What applying it would do."""

    format: Literal[1] = 1
    base_version: int = Field(ge=0)
    """The map that was in force; 0 = there was none."""
    base_digest: str
    documents: dict[str, str]
    changes: tuple[PlannedChange, ...]
    replay: Replay | None = None
    hash: str = ""

    @property
    def digest(self) -> str:
        """Of the documents."""
        return digest_of(self.documents)


def replayed(plan: Plan, replay: Replay) -> Plan:
    """The plan with what its replay found, and the hash of both."""
    told = plan.model_copy(update={"replay": replay})
    return told.model_copy(update={"hash": _hash(told)})


def fresh(plan: Plan, now_ms: int) -> None:
    """Raises PlanRefused where the plan's replay is older than a day: traffic has gone on since."""
    if plan.replay is not None and now_ms - plan.replay.made_ms > REPLAY_KEPT_MS:
        detail = "what the plan's replay found is more than a day old"
        raise PlanRefused("plan.expired", detail, "Plan it again with `solesource map plan --replay`.")


def plan_of(
    base_version: int, base_digest: str, documents: Mapping[str, str], changed: Iterable[Change]
) -> Plan:
    """The plan that brings these files into force, with its hash."""
    found = tuple(
        PlannedChange(kind=c.kind, object=c.object, fields=c.fields, systems=c.systems, words=c.words)
        for c in changed
    )
    plan = Plan(base_version=base_version, base_digest=base_digest, documents=dict(documents), changes=found)
    return plan.model_copy(update={"hash": _hash(plan)})


def written(plan: Plan) -> str:
    """A plan as a file has it."""
    return json.dumps(plan.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_plan(text: str, origin: str) -> Plan:
    """A plan from its file. Raises PlanRefused where it is none, or is no longer as it was made."""
    if len(text) > PLAN_LENGTH_MAX:
        raise PlanRefused("plan.too_long", f"{origin} has {len(text)} characters", "Make it with `map plan`.")
    try:
        plan = Plan.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError) as error:
        detail = f"{origin} is not a plan: {str(error).splitlines()[0]}"
        raise PlanRefused("plan.not_one", detail, "Make one with `solesource map plan --out`.") from error
    if plan.hash != _hash(plan):
        detail = f"{origin} is not as it was made: its hash does not fit"
        raise PlanRefused("plan.damaged", detail, "Make it again with `solesource map plan --out`.")
    return plan


def silent_changes(
    before: Mapping[str, str], after: Mapping[str, str], files: Mapping[str, str], said: Sequence[Change]
) -> list[Change]:
    """A line for each file that reads otherwise although nothing was said of what is in it.

    files: object to its file. Contracts stand in files of their own: what was said of one was said of them.
    """
    told = {files.get(change.object, SYSTEMS_FILE) for change in said}
    contracts = any(change.kind is Kind.CONTRACT for change in said)
    found = []
    for name in sorted(before.keys() | after.keys()):
        is_told = name in told if name.endswith(".yaml") else contracts
        if before.get(name) != after.get(name) and not is_told:
            how = "is new" if name not in before else "is gone" if name not in after else "reads otherwise"
            words = f"{name} {how}, and nothing changes for anybody"
            found.append(Change(kind=Kind.TEXT, words=words))
    return found


def _hash(plan: Plan) -> str:
    said = plan.model_dump(mode="json", exclude={"hash"})
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
