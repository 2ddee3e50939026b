"""A team's review pack: what the store measured, with what people changed, waived and reviewed."""

from __future__ import annotations

from broker.governance.history import history_of
from broker.governance.maps import in_force
from broker.governance.reviewing import reviews
from broker.pack.facts import MapChange, Pack, PackWaiver
from broker.pack.gather import gather
from broker.store.decided import Session, waivers_at
from ownership.map import ObjectMap
from ownership.waivable import waived_words


def pack_of(session: Session, team: str, from_ms: int, to_ms: int, made_ms: int) -> Pack:
    """Everything for a team's meeting. Raises PackRefused for a team that answers for nothing."""
    now = in_force(session).map
    mine = {name: entry for name, entry in now.objects.items() if entry.steward_team == team}
    waived: dict[str, list[PackWaiver]] = {}
    for row in waivers_at(session, from_ms):
        one = PackWaiver(f"{row.subject}: {waived_words(row.code)}", row.owner, row.reason, row.expires_ms)
        waived.setdefault(row.subject.partition(" ")[0], []).append(one)
    return gather(
        session.connection(),
        now,
        team,
        from_ms=from_ms,
        to_ms=to_ms,
        made_ms=made_ms,
        changes={name: _changes(session, entry) for name, entry in mine.items()},
        waivers=waived,
        reviews={one.object: one for one in reviews(session, made_ms)},
    )


def _changes(session: Session, entry: ObjectMap) -> list[MapChange]:
    return [
        MapChange(turn.at_ms, turn.by, words)
        for turn in history_of(session, entry)
        for words in turn.words
        or (f"Version {turn.version} of the map; what it changed was not asked for here.",)
    ]
