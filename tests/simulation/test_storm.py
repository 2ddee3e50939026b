"""Two and four two-way systems under half an echo load: no edit of an owner is swallowed, and no loop goes on."""

from __future__ import annotations

import pytest

from tests.simulation.afterwards import findings_of
from tests.simulation.storm import KEYS, OWNERS, Storm, begun, blown, bound

SEEDS = 25


def heard(storm: Storm) -> list[str]:
    """Owners' edits of which nothing came, although nothing newer of the same field did either."""
    caused = storm.revisions()
    swallowed = []
    for number, edit in enumerate(storm.edits):
        said = edit.said
        newer = {
            e.said.event for e in storm.edits[number + 1 :] if (e.said.key, e.name) == (said.key, edit.name)
        }
        causes = {event for system, event in caused[said.key] if system == said.system}
        if said.event not in causes and not newer & causes:
            swallowed.append(str(said))
    return swallowed


@pytest.mark.parametrize("count", OWNERS)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_storm_ends_with_the_owners_last_words(seed: int, count: int) -> None:
    storm, calm = blown(seed, count)
    assert heard(storm) == []
    for key in KEYS:
        last = {e.name: e.value for e in storm.edits if e.said.key == key}
        for name in storm.names:
            row = storm.systems[name].rows[key]
            assert {field: row[field] for field in last} == last, f"{key} in {name}"  # I1
    assert sum(s.echoed for s in storm.sinks()) >= 5, "there were echoes"  # type: ignore[attr-defined]
    assert calm.events <= bound(count, calm), calm
    assert findings_of(storm) == []


@pytest.mark.parametrize("count", OWNERS)
@pytest.mark.parametrize("seed", range(10))
def test_one_edit_at_rest_is_one_revision_and_one_echo_per_reader(seed: int, count: int) -> None:
    storm = begun(seed, count)
    while not storm.edits:
        before = storm.published
        storm.edit()
        storm.rest()
    assert storm.published - before <= count, "the edit, and an echo of each other system"
    (edit,) = storm.edits
    assert storm.revisions()[edit.said.key][-1] == (edit.said.system, edit.said.event)
