"""The difference loses no differing field, whatever the record looks like."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from broker.console.difference import rows, shown
from broker.store.cases import NEEDS_A_PERSON, Verdict

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
texts = st.none() | values.map(lambda value: json.dumps(value, sort_keys=True)) | st.text(max_size=6)
verdicts = st.lists(
    st.builds(
        Verdict,
        field=st.text("abc_", min_size=1, max_size=4),
        verdict=st.sampled_from(["accepted", "unchanged", "stale", "parked", *NEEDS_A_PERSON]),
        reason=st.just("not_owner"),
        owner=st.none() | st.just("crm"),
        authoritative=texts,
        attempted=texts,
    ),
    max_size=8,
    unique_by=lambda verdict: verdict.field,
)


def plainly_different(one: str | None, other: str | None) -> bool:
    """The slow and obvious question: are these two texts different JSON values?"""

    def tagged(text: str | None) -> object:
        try:
            return _tag(json.loads(text)) if text is not None else ("json", None)
        except ValueError:
            return ("text", text)

    return repr(tagged(one)) != repr(tagged(other))


def _tag(value: Any) -> object:
    if isinstance(value, dict):
        return {"object": {key: _tag(value[key]) for key in sorted(value)}}
    if isinstance(value, list):
        return [_tag(item) for item in value]
    return ("json", value)


@given(verdicts)
def test_no_differing_field_is_left_out_and_none_is_invented(given_verdicts: list[Verdict]):
    made = rows(given_verdicts)
    assert sorted(row.field for row in made) == sorted(verdict.field for verdict in given_verdicts)
    differing = {row.field for row in made if row.differs}
    for verdict in given_verdicts:
        if plainly_different(verdict.authoritative, verdict.attempted) or verdict.verdict in NEEDS_A_PERSON:
            assert verdict.field in differing
    flags = [row.differs for row in made]
    assert flags == sorted(flags, reverse=True), "what differs comes first"


@given(values, values)
def test_two_different_texts_are_never_shown_alike(one: Any, other: Any):
    """A person decides by what is shown: the same words must not stand for two different texts."""
    first, second = shown(json.dumps(one)), shown(json.dumps(other))
    if isinstance(one, str) and isinstance(other, str) and one != other:
        assert first != second
    if (one is None) != (other is None):
        assert first != second
