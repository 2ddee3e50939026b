"""The sentences of a pack, and what stands on its first page."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from broker.pack.attention import attention
from broker.pack.facts import Ages, Measured, Pack
from broker.pack.outline import Bars, Grid, Tone, outline
from broker.pack.words import duration, kept_words, named, plain, review_words
from broker.store.engine import Engine
from ownership.reviews import ReviewDue, Standing
from tests.unit.pack.quarter import FROM_MS, TEAM, entry, fill, made, the_map


def only(pack: Pack, **changed: object) -> Pack:
    """The pack with its first object alone, changed."""
    return replace(pack, objects=(replace(pack.objects[0], **changed),))  # type: ignore[arg-type]


def fine(store: Engine) -> Pack:
    """One object of which everything is known and nothing is wrong."""
    pack = only(made(store, waivers={}), orphans=())
    kept = Measured(FROM_MS, 100, 0, 400, 900)
    connections = tuple(replace(one, measured=kept) for one in pack.objects[0].connections)
    review = ReviewDue("customer", TEAM, date(2026, 9, 1), date(2026, 12, 1), Standing.DONE)
    return replace(only(pack, connections=connections, review=review), judged=9)


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (-3, "-3 ms"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (5_004, "5.004 s"),
        (59_999, "59.999 s"),
        (60_000, "1 min"),
        (60_001, "1 min 1 s"),
        (119_001, "2 min"),
        (3_600_000, "1 h"),
        (5_400_000, "1 h 30 min"),
        (86_400_000, "1 d"),
        (86_400_001, "1 d 1 h"),
    ],
)
def test_a_time_is_never_told_shorter_than_it_was(ms: int, words: str) -> None:
    assert duration(ms) == words


def test_a_text_from_outside_stays_one_line() -> None:
    assert plain("a\n b\t\0\u202ec\ud800") == "a b ??c?"
    assert plain("Łódź, 東京, Žižek") == "Łódź, 東京, Žižek"


def test_of_many_names_the_first_are_said_and_the_rest_is_counted() -> None:
    assert named(["b", "a"]) == "a and b"
    assert named(list("gfedcba")) == "a, b, c, d, e and 2 more"


def test_the_first_page_says_what_needs_attention_the_most_urgent_first(store: Engine) -> None:
    fill(store)
    said = outline(made(store))
    failing = "erp -> crm (customer): 3 of 5 updates were not taken over; alerts begin above 1%"
    assert [one.words for one in said.lead] == [
        f"{failing}; 1 more promise was not kept.",
        "5 cases are older than 7 days; the oldest is of 2026-07-01.",
        "1 review is overdue: customer.",
    ]
    assert [(one.words, one.tone) for one in said.also] == [
        ("1 field has no owner: customer.fax.", Tone.BAD),
        ("1 waiver has expired: customer fax.", Tone.BAD),
        ("Nothing was measured of 1 promise: crm -> billing (order).", Tone.UNKNOWN),
    ]


def test_the_first_page_says_it_when_nothing_needs_attention(store: Engine) -> None:
    said = outline(fine(store))
    assert [(one.words, one.tone) for one in said.lead] == [
        ("Nothing needs the team's attention.", Tone.GOOD)
    ]
    assert said.also == ()


def test_a_slow_connection_is_told_with_its_promise(store: Engine) -> None:
    pack = fine(store)
    fast, slow = pack.objects[0].connections
    late = replace(slow, measured=Measured(FROM_MS, 100, 0, 9_000, 9_000))
    assert [one.words for one in attention(only(pack, connections=(fast, late)))] == [
        "erp -> crm (customer) took 9 s for 99 of 100; promised are 5 s."
    ]
    assert kept_words(late) == "not kept: slower than promised"
    slowest = replace(slow, measured=Measured(FROM_MS, 100, 0, 400, 60_001))
    assert [one.words for one in attention(only(pack, connections=(slowest,)))] == [
        "erp -> crm (customer) took 1 min 1 s at worst; promised are at most 1 min."
    ]
    assert kept_words(slowest) == "not kept: the slowest took too long"


def test_nothing_measured_is_said_and_never_green(store: Engine) -> None:
    """I9: an empty store knows nothing, so there is nothing good to tell."""
    said = outline(made(store, waivers={}, reviews={}, ownership_map=the_map(entry("customer"))))
    words = [one.words for one in (*said.lead, *said.also)]
    assert words == [
        "1 field has no owner: customer.fax.",
        "Nothing was ever measured of 2 promises: crm -> erp (customer) and erp -> crm (customer).",
        "Nothing was judged in this period, so nothing is known about held writes.",
        "It is not known when customer should be reviewed.",
    ]
    blocks = [block for section in said.sections for block in section.blocks]
    cells = [
        cell
        for block in (*blocks, *said.overview)
        if isinstance(block, Grid)
        for row in block.rows
        for cell in row
    ]
    bars = [bar for block in (*blocks, *said.overview) if isinstance(block, Bars) for bar in block.bars]
    tones = {one.tone for one in (*said.lead, *said.also, *cells, *bars)}
    assert Tone.GOOD not in tones
    assert [bar.shown for bar in bars] == ["nothing was ever measured"] * 2
    assert [bar.tone for bar in bars] == [Tone.UNKNOWN] * 2


def test_updates_without_a_measured_time_are_not_called_kept(store: Engine) -> None:
    pack = fine(store)
    timeless = replace(pack.objects[0].connections[0], measured=Measured(FROM_MS, 0, 0, None, None))
    assert kept_words(timeless) == "no time was measured"
    assert [one.words for one in attention(only(pack, connections=(timeless,)))] == [
        "No time was measured of 1 promise: crm -> erp (customer)."
    ]


@pytest.mark.parametrize(
    ("last", "standing", "words"),
    [
        (None, Standing.OVERDUE, "It was never reviewed."),
        (
            date(2026, 6, 1),
            Standing.DONE,
            "The next review is due on 2026-09-01; last reviewed on 2026-06-01.",
        ),
        (
            date(2026, 6, 1),
            Standing.SOON,
            "The review is due soon, on 2026-09-01; last reviewed on 2026-06-01.",
        ),
        (
            date(2026, 6, 1),
            Standing.ESCALATED,
            "The review is overdue since 2026-09-01; last reviewed on 2026-06-01.",
        ),
    ],
)
def test_a_review_is_told_with_its_day(last: date | None, standing: Standing, words: str) -> None:
    assert review_words(ReviewDue("customer", TEAM, last, date(2026, 9, 1), standing)) == words


def test_a_bar_ends_at_three_times_the_promise_and_says_how_long_it_was(store: Engine) -> None:
    pack = fine(store)
    one = replace(pack.objects[0].connections[0], measured=Measured(FROM_MS, 9, 0, 3_600_000, 3_600_000))
    said = outline(only(pack, connections=(one,), ages=Ages()))
    (bars,) = (b for section in said.sections for b in section.blocks if isinstance(b, Bars))
    assert [(bar.size, bar.shown) for bar in bars.bars] == [(3.0, "1 h of 5 s")]
    assert (bars.top, bars.limit) == (3.0, 1.0)
