"""What stands in a review pack, in order: headings, sentences, tables and bars that both files draw.

Pure. Every text passes `plain`; whoever draws it escapes it for its format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from broker.pack.attention import LEAD, attention
from broker.pack.facts import Ages, Conflict, Pack, PackConnection, PackObject
from broker.pack.words import (
    BANDS,
    NOT_JUDGED,
    NOTES,
    NOTHING_NEEDED,
    ages_words,
    counted,
    day,
    duration,
    failed_words,
    introduced,
    kept_words,
    measured_time,
    plain,
    reason_words,
    review_words,
    shortened,
    title,
)
from ownership.changed import listed
from ownership.reviews import Standing

LABEL = 34
"""Length of a bar's label; a drawing breaks no line."""
TIMES_SHOWN = 3.0
"""A bar ends at so many times the promise, or the others could not be seen; its text says how long it was."""


class Tone(StrEnum):
    """How something is shown, besides what its words say."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence, or what stands in a cell."""

    words: str
    tone: Tone = Tone.PLAIN

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", plain(self.words))


@dataclass(frozen=True, slots=True)
class Heading:
    """Of a part of an object."""

    words: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its first row is the heading; `widths` are shares of the page, and add up to 1."""

    heading: tuple[str, ...]
    rows: tuple[tuple[Said, ...], ...]
    widths: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its size, and what it says."""

    label: str
    shown: str
    size: float
    tone: Tone = Tone.PLAIN

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", shortened(plain(self.label), LABEL))
        object.__setattr__(self, "shown", plain(self.shown))


@dataclass(frozen=True, slots=True)
class Bars:
    """A drawing of bars; a line at `limit` where there is one."""

    words: str
    bars: tuple[Bar, ...]
    limit: float | None = None

    @property
    def top(self) -> float:
        """The largest size to be drawn; never 0."""
        return max(*(bar.size for bar in self.bars), self.limit or 0.0, 1.0)


Block = Said | Heading | Grid | Bars


@dataclass(frozen=True, slots=True)
class Section:
    """One object, or the notes."""

    title: Said
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """A whole pack: the first page, then a section for each object, then how it was made."""

    title: Said
    introduction: Said
    lead: tuple[Said, ...]
    """What needs attention, in three sentences at most."""
    also: tuple[Said, ...]
    """What needs it too."""
    overview: tuple[Block, ...]
    sections: tuple[Section, ...]


def outline(pack: Pack) -> Outline:
    """A pack in the order in which it is read."""
    found = attention(pack)
    said = tuple(Said(one.words, Tone.BAD if one.known else Tone.UNKNOWN) for one in found)
    sections = [Section(Said(one.name), tuple(_object(one, pack))) for one in pack.objects]
    notes = Section(Said("How these figures were made"), tuple(Said(note) for note in NOTES))
    return Outline(
        title=Said(title(pack)),
        introduction=Said(introduced(pack)),
        lead=said[:LEAD] or (Said(NOTHING_NEEDED, Tone.GOOD),),
        also=said[LEAD:],
        overview=tuple(_overview(pack)),
        sections=(*sections, notes),
    )


def _overview(pack: Pack) -> Iterator[Block]:
    yield Heading("All objects at a glance")
    rows = tuple(
        (
            Said(one.name),
            _review(one),
            Said(str(len(one.changes))),
            Said(str(sum(found.count for found in one.conflicts))),
            Said(str(sum(one.ages.counts))),
            Said(str(one.ages.overdue), _bad(one.ages.overdue)),
            _promises(one.connections),
            Said(str(len(one.orphans)), _bad(len(one.orphans))),
        )
        for one in pack.objects
    )
    heading = (
        *("object", "review", "map changes", "held writes"),
        *("open cases", "over 7 days", "promises", "fields without owner"),
    )
    yield Grid(heading, rows, (0.18, 0.2, 0.1, 0.09, 0.08, 0.08, 0.15, 0.12))
    if not pack.judged:
        yield Said(NOT_JUDGED, Tone.UNKNOWN)
    bands = zip(*(one.ages.counts for one in pack.objects), strict=True)
    oldest = [one.ages.oldest_ms for one in pack.objects if one.ages.oldest_ms is not None]
    yield Heading("Open cases of all objects")
    yield from _ages(Ages(tuple(sum(band) for band in bands), min(oldest, default=None)))


def _bad(count: int) -> Tone:
    return Tone.BAD if count else Tone.PLAIN


def _review(one: PackObject) -> Said:
    if one.review is None:
        return Said("not known", Tone.UNKNOWN)
    if one.review.standing is Standing.DONE:
        return Said(f"due {one.review.due}", Tone.GOOD)
    if one.review.standing is Standing.SOON:
        return Said(f"due soon, {one.review.due}")
    return Said("never reviewed" if one.review.last is None else f"overdue since {one.review.due}", Tone.BAD)


def _promises(connections: Sequence[PackConnection]) -> Said:
    if not connections:
        return Said("nothing is promised")
    broken = sum(one.kept is False for one in connections)
    unknown = sum(one.kept is None for one in connections)
    kept = len(connections) - broken - unknown
    counts = ((kept, "kept"), (broken, "not kept"), (unknown, "not measured"))
    tone = Tone.BAD if broken else Tone.UNKNOWN if unknown else Tone.GOOD
    return Said(", ".join(f"{count} {words}" for count, words in counts if count), tone)


def _object(one: PackObject, pack: Pack) -> Iterator[Block]:
    yield Said(one.description)
    yield Said(review_words(one.review), _review(one).tone)
    yield Heading("Who owns what")
    yield from _owners(one)
    yield Heading("Changes of the map in the period")
    changes = [(Said(day(c.at_ms)), Said(c.by), Said(c.words)) for c in one.changes]
    yield from _grid(("day", "by", "what"), changes, (0.13, 0.17, 0.7), "The map was not changed.")
    yield Heading("Writes that were held in the period")
    yield from _conflicts(one.conflicts, pack.judged)
    yield Heading("Open cases")
    yield from _ages(one.ages)
    yield Heading("Promised and measured")
    yield from _connections(one.connections)
    yield Heading("Waivers")
    yield from _waivers(one, pack.made_ms)


def _grid(
    heading: tuple[str, ...], rows: Iterable[tuple[Said, ...]], widths: tuple[float, ...], otherwise: str
) -> Iterator[Block]:
    found = tuple(rows)
    yield Grid(heading, found, widths) if found else Said(otherwise)


def _owners(one: PackObject) -> Iterator[Block]:
    fields: dict[str, list[str]] = {}
    for owner in one.owners:
        fields.setdefault(owner.words, []).append(owner.field)
    rows = [(Said(words), Said(listed(names))) for words, names in sorted(fields.items())]
    yield from _grid(("owner", "fields"), rows, (0.3, 0.7), "It has no fields.")
    if one.orphans:
        yield Said(
            f"{counted(len(one.orphans), 'field has', 'fields have')} no owner: {listed(one.orphans)}.",
            Tone.BAD,
        )
    else:
        yield Said("Every field has an owner.")


def _conflicts(conflicts: Sequence[Conflict], judged: int) -> Iterator[Block]:
    if not conflicts:
        yield Said("No write was held.") if judged else Said(NOT_JUDGED, Tone.UNKNOWN)
        return
    systems: dict[str, int] = {}
    for found in conflicts:
        systems[found.system] = systems.get(found.system, 0) + found.count
    ranked = sorted(systems.items(), key=lambda item: (-item[1], item[0]))
    yield Bars("Held writes by system", tuple(Bar(name, str(count), count) for name, count in ranked))
    rows = [
        (Said(found.system), Said(reason_words(found.reason)), Said(str(found.count))) for found in conflicts
    ]
    yield Grid(("system", "why", "held"), tuple(rows), (0.2, 0.68, 0.12))


def _ages(ages: Ages) -> Iterator[Block]:
    yield Said(ages_words(ages))
    if ages.oldest_ms is not None:
        tones = (Tone.PLAIN, Tone.PLAIN, Tone.BAD, Tone.BAD)
        bars = zip(BANDS, ages.counts, tones, strict=True)
        yield Bars("Open cases by age", tuple(Bar(band, str(n), n, tone) for band, n, tone in bars))


def _connections(connections: Sequence[PackConnection]) -> Iterator[Block]:
    if not connections:
        yield Said("Nothing is promised.")
        return
    yield Bars(
        "Time that 99 of 100 changes took, against the promise (the line)",
        tuple(_promise_bar(one) for one in connections),
        limit=1.0,
    )
    heading = (
        *("from -> to", "promised: 99 of 100, slowest", "measured: 99 of 100, slowest"),
        *("not taken over", "measured since", "promise"),
    )
    yield Grid(heading, tuple(_row(one) for one in connections), (0.2, 0.17, 0.17, 0.12, 0.13, 0.21))


def _tone(kept: bool | None) -> Tone:
    return Tone.UNKNOWN if kept is None else Tone.GOOD if kept else Tone.BAD


def _promise_bar(one: PackConnection) -> Bar:
    promised_ms, found = one.sla.latency_p99_ms, one.measured
    if found is None or found.p99_ms is None:
        return Bar(one.name, kept_words(one), 0, Tone.UNKNOWN)
    shown = f"{duration(found.p99_ms)} of {duration(promised_ms)}"
    size = min(max(found.p99_ms, 0) / promised_ms, TIMES_SHOWN)
    return Bar(one.name, shown, size, _tone(found.p99_ms <= promised_ms))


def _row(one: PackConnection) -> tuple[Said, ...]:
    found, sla = one.measured, one.sla
    if found is None:
        measured, since = Said(kept_words(one), Tone.UNKNOWN), Said("-")
    else:
        times = f"{measured_time(found.p99_ms)}, {measured_time(found.max_ms)}"
        measured, since = Said(times), Said(day(found.since_ms))
    promised = Said(f"{duration(sla.latency_p99_ms)}, {duration(sla.latency_max_ms)}")
    return (
        Said(one.name), promised, measured, Said(failed_words(one)), since, Said(kept_words(one), _tone(one.kept)),
    )  # fmt: skip


def _waivers(one: PackObject, made_ms: int) -> Iterator[Block]:
    rows = []
    for waiver in one.waivers:
        over = waiver.expires_ms <= made_ms
        ends = Said(
            f"{'expired' if over else 'until'} {day(waiver.expires_ms)}", Tone.BAD if over else Tone.PLAIN
        )
        rows.append((Said(waiver.what), Said(waiver.owner), Said(waiver.reason), ends))
    heading = ("what", "who answers", "why", "how long")
    yield from _grid(heading, rows, (0.24, 0.18, 0.4, 0.18), "Nothing is waived.")
