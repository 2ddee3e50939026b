"""What somebody may answer for although it is missing, by code, and what people call it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ownership.going_live import Need

OF_CONNECTIONS: Mapping[str, str] = {
    Need.OWNER: "fields that nobody owns",
    Need.STEWARD: "no steward",
    Need.PROMISE: "no promise",
    Need.ALERT_PATH: "nobody is told when it fails",
    Need.CONFORMANCE: "a connector that the conformance kit has not passed",
    Need.CERTIFICATE: "no SLA certificate",
}
"""What the production gate asks for."""
OF_OBJECTS: Mapping[str, str] = {
    "map.contact_unusable": "a steward who cannot be written to",
    "map.failover_unreachable": "a failover to what is not there",
    "map.handover_not_done": "a handover of which nobody said that it was in force",
    "map.never_reviewed": "it was never reviewed",
    "map.no_alert_path": "nobody is alerted",
    "map.no_conflicts": "not said how people decide when systems disagree",
    "map.no_promise": "no promise to a system that reads it",
    "map.promise_empty": "a promise to a system that does not read it",
    "map.promise_impossible": "a promise that cannot be kept",
    "map.review_overdue": "its review is overdue",
    "map.steward_gone": "a steward who is not among the teams",
    "map.term_ended": "a field whose owner's term has ended",
    "map.uncleared": "a reader that is not cleared for what it reads",
}
"""Warnings of `solesource map lint` about an object; those about systems are mended, there is no steward for them."""


def waived_words(code: str) -> str:
    """What a waiver lets be, for people; a code of before that is no more stands for itself."""
    return OF_CONNECTIONS.get(code) or OF_OBJECTS.get(code, code)
