"""The decision corpus: every scenario of tests/corpus is played on the real judge, and the whole leaves nothing out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from broker import topics
from broker.gate.decision import Outcome, Verdict
from broker.gate.outgoing import Destination
from broker.gate.reason import BY_CODE, IN_THE_WAY
from ownership.map import OnViolation
from schemas.version import VersionKind, version_of
from tests.corpus.compare import KINDS
from tests.corpus.form import Expectation, Played, Scenario, files, read_scenarios
from tests.corpus.play import play
from tests.corpus.sentences import BESIDE, SENTENCES
from tests.corpus.stage import Happened
from tests.corpus.wrong import WRONG

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "decision-corpus.md"
SCENARIOS = [one for path in files() for one in read_scenarios(path.read_text("utf-8"), path.name)]
SCENARIOS_MIN = 150


def named(scenario: Scenario) -> str:
    return f"{scenario.file.removesuffix('.yaml')}: {scenario.name}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=named)
def test_a_scenario_comes_out_as_it_says(scenario: Scenario) -> None:
    found, _ = play(scenario)
    assert not found, "\n" + "\n".join(map(str, found))


# --- nothing is left out


@cache
def happened() -> list[Happened]:
    """Everything that happens in the corpus."""
    return [one for scenario in SCENARIOS for one in play(scenario)[1]]


def steps() -> Iterator[Played]:
    for scenario in SCENARIOS:
        yield from scenario.history
        yield from scenario.then


def verdicts() -> Iterator[tuple[Happened, Any]]:
    for one in happened():
        for verdict in one.decision.verdicts if one.decision else ():
            yield one, verdict


def test_every_outcome_occurs() -> None:
    assert {one.outcome for one in happened()} - {"none"} == {outcome.value for outcome in Outcome}


def test_every_reason_occurs() -> None:
    cases = {body["reason"] for one in happened() for _, body in one.to(Destination.QUARANTINE)}
    in_the_way = {reason.code for reason in IN_THE_WAY}  # no map and no change brings them about
    assert (cases | {one.reason for one in happened()}) - {"none"} == set(BY_CODE) - in_the_way


def test_every_verdict_occurs() -> None:
    assert {verdict.verdict for _, verdict in verdicts()} == set(Verdict)


def test_every_policy_stops_a_write() -> None:
    met = set()
    for one, verdict in verdicts():
        system, _ = topics.parse_changes(one.record.topic) or ("", "")
        if verdict.reason is BY_CODE["not_owner"]:
            entry = one.bench.rules.ownership_map.objects["customer"]
            met.add(entry.at(one.record.timestamp).policy_of(system))
    assert met == set(OnViolation)


def test_every_kind_of_version_is_accepted_and_known_again() -> None:
    kinds: Counter[tuple[VersionKind, str]] = Counter()
    for one in happened():
        event = dict(one.record.headers).get("ce_id")
        if event is not None and one.outcome in ("accepted", "stale", "duplicate"):
            kinds[version_of(event.decode()).kind, one.outcome] += 1
    assert {kind for kind, outcome in kinds if outcome == "accepted"} == set(VersionKind)
    assert (VersionKind.ARRIVAL, "stale") not in kinds and (VersionKind.COARSE, "stale") in kinds


def test_every_word_of_a_scenario_is_used() -> None:
    played = list(steps())
    said = {name for one in played if one.expect is not None for name in one.expect.model_fields_set}
    assert said == set(KINDS) == set(Expectation.model_fields)
    assert {one.step.kind for one in played} == {sentence.kind for sentence in SENTENCES}
    assert {word for one in played for word in one.step.beside} == set(BESIDE)
    wrong = [one.step.beside.get("wrong", ()) for one in played]
    assert {w for told in wrong for w in ([told] if isinstance(told, str) else told)} == set(WRONG)


def test_every_scenario_has_a_name_of_its_own_and_says_why() -> None:
    names = Counter((one.file, one.name) for one in SCENARIOS)
    assert [name for name, count in names.items() if count > 1] == []
    assert all(one.why.endswith(".") for one in SCENARIOS)
    assert all(path.read_text("utf-8").count("\n") <= 400 for path in files())


def test_the_page_lists_the_files_with_their_scenarios() -> None:
    text = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| \[(\S+\.yaml)\]\((\S+)\) \| (.+) \| (\d+) \|$", text, re.MULTILINE)
    counted = Counter(one.file for one in SCENARIOS)
    assert [(name, int(number)) for name, _, _, number in rows] == sorted(counted.items())
    assert all(
        (PAGE.parent / link).resolve() == path for (_, link, *_), path in zip(rows, files(), strict=True)
    )
    total = re.search(r"\*\*(\d+) scenarios\*\*", text)
    assert total is not None and int(total[1]) == len(SCENARIOS) >= SCENARIOS_MIN


def test_the_page_names_every_sentence_and_word() -> None:
    text = PAGE.read_text("utf-8")
    examples = {"(?P<system>[a-z]+)": "crm", "(?P<key>[A-Z]-[0-9]+)": "C-1", "(?P<label>.+)": "the change"}
    known = {f"`{word}`" for word in (*BESIDE, *KINDS, *WRONG)}
    for sentence in SENTENCES:
        said = sentence.pattern
        for pattern, example in examples.items():
            said = said.replace(pattern, example)
        known.add(f"`{said}:")
    assert {word for word in known if word not in text} == set()


def test_the_worked_example_of_the_page_is_a_scenario_of_the_corpus() -> None:
    (example,) = re.findall(r"^```yaml\n(  - name.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert any(example.strip() in path.read_text("utf-8") for path in files())
