"""The decision corpus: every scenario of tests/corpus is played on the real judge."""

from __future__ import annotations

import pytest

from tests.corpus.form import Scenario, files, read_scenarios
from tests.corpus.play import play

SCENARIOS = [one for path in files() for one in read_scenarios(path.read_text("utf-8"), path.name)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: f"{one.file.removesuffix('.yaml')}: {one.name}")
def test_a_scenario_comes_out_as_it_says(scenario: Scenario) -> None:
    found, _ = play(scenario)
    assert not found, "\n" + "\n".join(map(str, found))
