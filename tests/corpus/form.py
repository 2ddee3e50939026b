"""The form of a scenario: what may be written in a file of the corpus, and where what is not understood is told.

Strict: a word that nobody knows would silently prove nothing. What a step does is `tests.corpus.sentences`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from broker.gate.decision import Outcome, Verdict
from broker.gate.reason import BY_CODE
from ownership.errors import MapRefused
from ownership.lines import read_yaml
from tests.corpus.sentences import Step, parse_step

HERE = Path(__file__).parent
NONE = "none"
NOT_JUDGED = "not judged"


class NotUnderstood(Exception):
    """A scenario says something that has no meaning: where, what, and what to do."""


def _outcome(text: str) -> str:
    return _one_of(text, [NONE, *(outcome.value for outcome in Outcome)])


def _reason(text: str) -> str:
    return _one_of(text, [NONE, *BY_CODE])


def _one_of(text: str, known: list[str]) -> str:
    if text not in known:
        msg = f"`{text}` is none of {', '.join(known)}"
        raise ValueError(msg)
    return text


def _verdict(text: str) -> Mapping[str, str | int]:
    """The parts of `held not_owner of crm epoch 2`; all after the first are optional."""
    if text == NOT_JUDGED:
        return {"verdict": NOT_JUDGED}
    words = text.split()
    parts: dict[str, str | int] = {"verdict": _one_of(words.pop(0), [one.value for one in Verdict])}
    if words and words[0] not in ("of", "epoch"):
        parts["reason"] = _reason(words.pop(0))
    if words[:1] == ["of"] and len(words) > 1:
        parts["owner"], words = words[1], words[2:]
    if words[:1] == ["epoch"] and len(words) > 1 and words[1].isdigit():
        parts["epoch"], words = int(words[1]), words[2:]
    if words:
        msg = f"`{text}` is not read: write a verdict, then a reason, `of` its owner, `epoch` and a number"
        raise ValueError(msg)
    return parts


def _nothing_is_empty(value: Any) -> Any:
    return {} if value == NONE else value


def _one_is_a_list(value: Any) -> Any:
    return [] if value in (NONE, False) else value if isinstance(value, list) else [value]


ReasonCode = Annotated[str, AfterValidator(_reason)]
Fields = Annotated[list[str], BeforeValidator(_one_is_a_list)]
VerdictWords = Annotated[Any, BeforeValidator(_verdict)]


class Form(BaseModel):
    """Base: no unknown words."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CaseForm(Form):
    """One held change, or a case that time made."""

    reason: ReasonCode | None = None
    system: str | None = None
    """Whose write it is about."""
    owner: str | None = None
    kept: Literal["whole", "by reference"] | None = None
    shows: dict[str, list[Any]] | None = None
    """Field to the owner's value and the value attempted."""


class RefusalForm(Form):
    """The message back to the writer."""

    to: str | None = None
    reason: ReasonCode | None = None
    fields: Fields | None = None
    rule: str | None = None


class ConnectionForm(Form):
    """What was ordered for a system's changes."""

    paused: bool | None = None
    incarnation: int | None = None


class Expectation(Form):
    """What should come of a step. What is not said of the first seven must not happen, or must stay as it was."""

    record: dict[str, Any] | Literal["none", "unchanged"] = "unchanged"
    """Its values; a field that is not named is empty."""
    case: Annotated[list[CaseForm | ReasonCode | Literal[True]], BeforeValidator(_one_is_a_list)] = []
    refusal: RefusalForm | Literal[True, "none"] = "none"
    reasserted: Annotated[dict[str, Fields], BeforeValidator(_nothing_is_empty)] = {}
    """System to the fields whose value it is sent again."""
    asks: Annotated[dict[str, dict[str, Any]], BeforeValidator(_nothing_is_empty)] = {}
    """Owner to the values that are put to it."""
    answers: Fields = []
    """Questions that ended: `name accepted`, `name answered_otherwise`, `name expired`."""
    deleted: bool = False
    """Whether readers are told that the record is gone."""
    outcome: Annotated[str, AfterValidator(_outcome)] | None = None
    reason: ReasonCode | None = None
    verdicts: dict[str, VerdictWords] | None = None
    revision: int | None = None
    changed: Fields | None = None
    """What the new revision says is different from the one before."""
    owners: dict[str, str] | None = None
    """Field to its owner, as the new revision names it."""
    waiting: Annotated[dict[str, dict[str, Any]], BeforeValidator(_nothing_is_empty)] | None = None
    """System to the values that wait for the record."""
    acknowledges: int | None = None
    trail: Fields | None = None
    """Kinds of the lines in the trail, in order."""
    results: dict[str, str] | None = None
    """Kind of a line in the trail to its result."""
    connections: dict[str, ConnectionForm] | None = None
    grave: bool | None = None
    map_version: int | None = None


class ScenarioForm(Form):
    """One scenario."""

    name: str
    why: str
    map: dict[str, Any] | str = Field(default_factory=dict)
    """Changes of the file's map, or the name of another one."""
    history: list[Any] = []
    then: list[Any] = Field(min_length=1)


class FileForm(Form):
    """One file."""

    about: str
    map: str
    scenarios: list[ScenarioForm] = Field(min_length=1)


class Played(Form):
    """A step, understood."""

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True, extra="forbid")

    step: Step
    expect: Expectation | None


class Scenario(Form):
    """A scenario, understood."""

    file: str
    line: int
    name: str
    why: str
    base: str
    changes: dict[str, Any]
    history: list[Played]
    then: list[Played]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}: {self.name}"


def files() -> list[Path]:
    return sorted(HERE.glob("*.yaml"))


def read_scenarios(text: str, file: str) -> list[Scenario]:
    """The scenarios of a file. Raises NotUnderstood."""
    try:
        document, lines = read_yaml(text, file)
    except MapRefused as error:
        raise NotUnderstood(str(error)) from None
    try:
        form = FileForm.model_validate(document)
    except ValidationError as error:
        raise NotUnderstood("\n".join(_told(file, document, error))) from None
    return [_scenario(file, lines["scenarios", n], form, one) for n, one in enumerate(form.scenarios)]


def _told(file: str, document: Any, error: ValidationError) -> list[str]:
    """What pydantic found, for people: file, scenario, place, what to do."""
    found = []
    for one in error.errors():
        path = [str(part) for part in one["loc"]]
        where = ""
        if path[:1] == ["scenarios"] and len(path) > 1:
            named = document["scenarios"][int(path[1])]
            name = named.get("name") if isinstance(named, dict) else None
            where, path = f"{name or 'scenario ' + path[1]}: ", path[2:]
        found.append(f"{file}: {where}{'.'.join(path)}: {_advice(one)}")
    return found


def _advice(one: Any) -> str:
    if one["type"] == "extra_forbidden":
        return "is no word of a scenario; mend its spelling, or see docs/reference/decision-corpus.md"
    if one["type"] == "missing":
        return "is missing; add it"
    return f"{one['msg']}; mend it, or see docs/reference/decision-corpus.md"


def _scenario(file: str, line: int, form: FileForm, one: ScenarioForm) -> Scenario:
    return Scenario(
        file=file,
        line=line,
        name=one.name,
        why=one.why,
        base=one.map if isinstance(one.map, str) else form.map,
        changes=one.map if isinstance(one.map, dict) else {},
        history=[_played(f"{file}: {one.name}", n, step) for n, step in enumerate(one.history, 1)],
        then=[
            _played(f"{file}: {one.name}", n, step, expected=True)
            for n, step in enumerate(one.then, len(one.history) + 1)
        ],
    )


def _played(where: str, number: int, said: Any, *, expected: bool = False) -> Played:
    here = f"{where}: step {number}"
    words = {said: None} if isinstance(said, str) else said
    if not isinstance(words, dict):
        raise NotUnderstood(f"{here}: {said!r} is no step; write `crm creates C-1: {{name: Ada}}`")
    told = words.get("expect")
    try:
        step = parse_step({word: value for word, value in words.items() if word != "expect"})
        expect = None if told is None else Expectation.model_validate(told)
    except ValidationError as error:
        found = (f"{here}: expect.{'.'.join(map(str, e['loc']))}: {_advice(e)}" for e in error.errors())
        raise NotUnderstood("\n".join(found)) from None
    except ValueError as error:
        raise NotUnderstood(f"{here}: {error}") from None
    if expect is not None and not step.judged:
        msg = f"{here}: nothing is judged here; put `expect` under the next change or tick"
        raise NotUnderstood(msg)
    if expected and expect is None and step.judged:
        raise NotUnderstood(f"{here}: says not what is expected; add `expect`, or move it to `history`")
    return Played(step=step, expect=expect)
