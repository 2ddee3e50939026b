"""Versions of the map that came into force past the approvals: somebody published them with Kafka's credentials."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from broker.governance.history import ONCE_IN_FORCE
from broker.kafka.planning import differences
from broker.store.decided import Session, requests_in
from broker.store.versions import versions_known
from ownership.changed import Kind

GOVERNED = frozenset({Kind.OWNER, Kind.ACCESS, Kind.PROMISE, Kind.PEOPLE})
"""What stewards are asked about. Topics, contracts and schemas that were learned come by commands of their own."""
LOOKED_AT = 200
"""So many of the latest versions are looked at."""


def without_request(session: Session) -> Iterator[tuple[int, str, str]]:
    """(version, who published it, what it changed) of those that no request became, since the first that one did."""
    became = (row.map_version for row in requests_in(session, *ONCE_IN_FORCE))
    known = {version for version in became if version is not None}
    first = min(known, default=None)
    if first is None:
        return
    for before, after in pairwise(versions_known(session.connection(), LOOKED_AT)):
        if after.version in known or after.version < first:
            continue
        words = [change.words for change in differences(before, after) if change.kind in GOVERNED]
        if words:
            yield after.version, after.by, "; ".join(words)
