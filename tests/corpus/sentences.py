"""The sentences that a step can be: who does what to which record, and the words that may stand beside it.

What a sentence brings about is played by `tests.corpus.stage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ownership.document import duration_ms

_WHO = "(?P<system>[a-z]+)"
_RECORD = "(?P<key>[A-Z]-[0-9]+)"
CHANGE = frozenset(
    {"version", "incarnation", "event", "id", "contract", "wrong", "appended", "called", "times"}
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and what may stand beside it."""

    kind: str
    pattern: str
    takes: type | None = None
    """What stands behind the colon."""
    beside: frozenset[str] = frozenset()
    judged: bool = True
    """Whether something is handed to the gate."""


SENTENCES = (
    Sentence("creates", f"{_WHO} creates {_RECORD}", dict, CHANGE | {"unavailable"}),
    Sentence("sends all", f"{_WHO} sends all of {_RECORD}", dict, CHANGE | {"unavailable"}),
    Sentence("writes", f"{_WHO} writes {_RECORD}", dict, CHANGE | {"unavailable"}),
    Sentence("deletes", f"{_WHO} deletes {_RECORD}", None, CHANGE),
    Sentence("again", f"{_WHO} sends (?P<label>.+) again", None, frozenset({"appended"})),
    Sentence("tick", "tick", None),
    Sentence("keep", "a steward keeps the owner's value", None, frozenset({"about"})),
    Sentence("ask_owner", "a steward asks the owner", list, frozenset({"about"})),
    Sentence("redrive", "a steward redrives the write", None, frozenset({"about", "attempt"})),
    Sentence("pause", f"operations pauses {_WHO}", None),
    Sentence("resume", f"operations resumes {_WHO}", None),
    Sentence("source_reset", f"operations records a source reset of {_WHO}", int),
    Sentence("wait", "wait", str, judged=False),
    Sentence("map", "the map changes", dict, judged=False),
)
TIMES_MAX = 200
BESIDE = frozenset().union(*(sentence.beside for sentence in SENTENCES))


@dataclass(frozen=True, slots=True)
class Step:
    """A step, understood."""

    kind: str
    said: str
    judged: bool
    system: str = ""
    key: str = ""
    label: str = ""
    value: Any = None
    beside: Mapping[str, Any] = field(default_factory=dict)


def repeated(step: Step) -> Iterator[Step]:
    """A step as often as `times` says, `*` counted from 1; each time it is the next change of its system."""
    times = step.beside.get("times", 1)
    if not isinstance(times, int) or not 1 <= times <= TIMES_MAX:
        msg = f"`times` is a number from 1 to {TIMES_MAX}, not {times!r}"
        raise ValueError(msg)
    for number in range(1, times + 1):
        beside = {word: told for word, told in step.beside.items() if word != "version" or number == 1}
        yield replace(step, beside=beside, value=_numbered(step.value, number))


def _numbered(value: Any, number: int) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        name: told.replace("*", str(number)) if isinstance(told, str) else told
        for name, told in value.items()
    }


def parse_step(words: Mapping[str, Any]) -> Step:
    """One sentence with what stands behind and beside it. Raises ValueError that says what to do."""
    said = [str(word) for word in words if word not in BESIDE]
    if len(said) != 1:
        known = ", ".join(sorted(BESIDE))
        msg = f"{', '.join(said) or 'nothing'} is said; a step is one sentence, and beside it {known}"
        raise ValueError(msg)
    for sentence in SENTENCES:
        found = re.fullmatch(sentence.pattern, said[0])
        if found is not None:
            return _understood(sentence, said[0], words, found.groupdict())
    msg = f"`{said[0]}` is no sentence of a scenario; mend it, or see docs/reference/decision-corpus.md"
    raise ValueError(msg)


def _understood(sentence: Sentence, said: str, words: Mapping[str, Any], found: Mapping[str, str]) -> Step:
    value = words[said]
    beside = {word: told for word, told in words.items() if word != said}
    if unknown := beside.keys() - sentence.beside:
        msg = f"`{', '.join(sorted(unknown))}` does not belong to `{said}`; take it away"
        raise ValueError(msg)
    wanted = sentence.takes or type(None)
    fits = isinstance(value, wanted)
    if not fits:
        told = {dict: "{field: value}", list: "[field]", int: "a number", str: "a duration such as 25h"}
        msg = f"behind `{said}:` stands {told.get(wanted, 'nothing')}, not {value!r}"
        raise ValueError(msg)
    if sentence.kind == "wait":
        value = duration_ms(value)
    return Step(sentence.kind, said, sentence.judged, **found, value=value, beside=beside)
