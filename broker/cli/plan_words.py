"""A plan in words: for a terminal, and as Markdown for whoever reviews a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from broker.lane.flips import Flips
from broker.published import PublishedMap
from ownership.changed import moment
from ownership.pages import cell
from ownership.plan import Plan, PlannedChange, PlannedFlip, Replay

DAY_MS = 86_400_000
LEFT_OUT = "What people decided, and time that passes, is not replayed."


def in_force_already(made: Plan, newest: PublishedMap) -> bool:
    """Whether there is nothing to do."""
    return dict(newest.documents) == made.documents


def on_top_of(newest: PublishedMap) -> str:
    """What a plan was compared with."""
    if not newest.version:
        return "There is no map in force yet."
    return f"On top of version {newest.version}, published by {newest.by} on {moment(newest.published_ms)}"


def told(made: Plan, newest: PublishedMap, given: str, *, is_file: bool) -> str:
    """For a terminal. `given`: what to call the plan's file in the next command."""
    if in_force_already(made, newest):
        return f"Nothing would change: this is version {newest.version}, which is in force."
    systems = sorted({system for change in made.changes for system in change.systems})
    lines = [f"{on_top_of(newest)}:", *_by_object(made.changes), ""]
    if made.replay is not None:
        lines += [*_replayed(made.replay), ""]
    lines += [
        f"Concerns {', '.join(systems) or 'no system'}. Its hash is {made.hash[:16]}.",
        ("Apply it:" if is_file else f"Write it to a file with --out {given}, then apply it:")
        + f" solesource map apply {given} --by YOU",
    ]
    return "\n".join(lines)


def _by_object(changes: Iterable[PlannedChange]) -> Iterator[str]:
    """A line for each change, below a heading for each object."""
    heading: str | None = None
    for change in changes:
        if change.object != heading:
            heading = change.object
            yield ""
            yield heading or "systems and files"
        yield f"  {change.kind.value:<8}  {change.words}"


def _replayed(replay: Replay) -> Iterator[str]:
    yield f"Replayed since {moment(replay.since_ms)}: {summary(replay)}"
    for flip in replay.flips:
        yield f"  {flip.count:>8}  {way(flip)}"
    yield from notes(replay)


def summary(replay: Replay) -> str:
    """How many changes would come out otherwise."""
    flipped = sum(flip.count for flip in replay.flips)
    if not replay.judged:
        return "nothing was sent of what the plan is about."
    share = flipped / replay.judged
    return f"{replay.judged} changes judged under both maps, {flipped} come out otherwise ({share:.2%})."


def way(flip: PlannedFlip) -> str:
    """`crm email of customer: accepted -> quarantined: not_owner`."""
    fields = f"{flip.fields} of " if flip.fields else ""
    return f"{flip.system} {fields}{flip.object}: {flip.before} -> {flip.after}"


def notes(replay: Replay) -> Iterator[str]:
    """What it means for reviewers, and what it could not know."""
    days = max((replay.made_ms - replay.since_ms) / DAY_MS, 1 / 24)
    before, after = replay.reviewed_before / days, replay.reviewed_after / days
    yield f"Cases to review: {after:.0f} a day instead of {before:.0f}."
    if replay.begun:
        yield (
            f"{replay.begun} records were there before the first change that is still in the log: they begin with the "
            "oldest value that is left, as if nothing had been heard of them."
        )
    yield LEFT_OUT


def markdown(made: Plan, newest: PublishedMap, found: Flips | None) -> str:
    """For a pull request."""
    if in_force_already(made, newest):
        return f"### Ownership map\n\nNothing changes: this is version {newest.version}, which is in force.\n"
    lines = [
        "### Ownership map",
        "",
        f"{on_top_of(newest)}:",
        "",
        "| object | what | in words |",
        "|---|---|---|",
    ]
    lines += [f"| {c.object or '-'} | {c.kind.value} | {cell(c.words)} |" for c in made.changes]
    if made.replay is not None:
        lines += ["", f"**Replayed since {moment(made.replay.since_ms)}**: {summary(made.replay)}", ""]
        if made.replay.flips:
            lines += ["| changes | which | for instance |", "|---|---|---|"]
            lines += [f"| {f.count} | {cell(way(f))} | {_sample(f, found)} |" for f in made.replay.flips]
            lines.append("")
        lines += [f"- {note}" for note in notes(made.replay)]
    return "\n".join([*lines, "", f"Plan `{made.hash[:16]}`."]) + "\n"


def _sample(flip: PlannedFlip, found: Flips | None) -> str:
    for known, places in found.samples.items() if found is not None else ():
        if (*known,) == (flip.object, flip.system, flip.fields, flip.before, flip.after) and places:
            return f"`{cell(places[0])}`"
    return ""
