"""Why a field or a change was not simply accepted: one enum, in order of precedence.

Pure. Where several reasons apply to a change, the first one here is the change's reason. Codes are stable; the
sentences are for people who review, not for engineers.
"""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """Stable code, sentence for operations, and what to do."""

    TOO_LARGE = (
        "too_large",
        "The record is larger than a record may be.",
        "Ask the sending system's team to send less.",
    )
    BAD_KEY = (
        "bad_key",
        "The record has no usable key, so nobody can tell whose it is.",
        "Ask the sending system's team to send the record's id as its key.",
    )
    MALFORMED_ENVELOPE = (
        "malformed_envelope",
        "What the record says about itself is missing or cannot be read.",
        "Ask the sending system's team to follow the wire format.",
    )
    NOT_HYDRATED = (
        "not_hydrated",
        "The record says that something changed, but not what.",
        "Ask the connector's author to fetch the record before sending it.",
    )
    CLAIM_MISMATCH = (
        "claim_mismatch",
        "The record claims to come from another system than the one that sent it.",
        "Find out who sent it: this is either a fault in set-up or an attempt to write as somebody else.",
    )
    UNKNOWN_OBJECT = (
        "unknown_object",
        "Nobody has said who owns this kind of record.",
        "Add the kind of record to the ownership map, or stop sending it.",
    )
    SYSTEM_NOT_LISTED = (
        "system_not_listed",
        "This system has no part in this kind of record.",
        "Add the system to the ownership map, or stop sending it.",
    )
    UNKNOWN_SCHEMA = (
        "unknown_schema",
        "The record was written by a contract that is not this kind of record's.",
        "Ask the sending system's team to use the contract in force.",
    )
    UNREADABLE = (
        "unreadable",
        "The contents of the record cannot be read.",
        "Ask the sending system's team; the original is kept.",
    )
    KEY_MISMATCH = (
        "key_mismatch",
        "The record is filed under one id and contains another.",
        "Ask the sending system's team which id is meant.",
    )
    MISROUTED_KEY = (
        "misrouted_key",
        "The record arrived in the wrong place, so its order cannot be trusted.",
        "Ask the sending system's team to set the partitioner that the wire format names.",
    )
    UNRECORDED_RESET = (
        "unrecorded_reset",
        "The sending system counts its changes anew, and nobody has confirmed that this is meant.",
        "Find out whether it was restored or replaced; if so, record it with `solesource source-reset`.",
    )
    INCOMPLETE_RECORD = (
        "incomplete_record",
        "A new record lacks something that every record must have.",
        "Ask the sending system's team to send the whole record.",
    )
    VERSION_CONFLICT = (
        "version_conflict",
        "The same version was sent twice with different contents.",
        "Find out which one is right in the system that owns it.",
    )
    UNKNOWN_FIELD = (
        "unknown_field",
        "The record has a field that nobody knows.",
        "Add the field to the contract and the ownership map, or stop sending it.",
    )
    UNOWNED = (
        "unowned",
        "Nobody has said who owns this field.",
        "Name its system of record in the ownership map.",
    )
    NOT_DELETE_AUTHORITY = (
        "not_delete_authority",
        "This system may not delete this kind of record.",
        "Delete it in the system that may, or keep it.",
    )
    NOT_CREATE_AUTHORITY = (
        "not_create_authority",
        "This system may not create this kind of record.",
        "Create it in the system that may.",
    )
    LATE_OWNER = (
        "late_owner",
        "This system owned the field, and handed it over.",
        "Make the change in the system that owns it now, or ask that system to take it over.",
    )
    NOT_OWNER = (
        "not_owner",
        "Another system owns this field.",
        "Keep the owner's value, or ask the owner to take this one over.",
    )
    WRITE_WAR = (
        "write_war",
        "Two systems keep overwriting each other's value of one field.",
        "Stop the system that does not own the field from writing it; its connector or a job in it sends old values.",
    )
    OWNER_WENT_BACK = (
        "owner_went_back",
        "The owner keeps sending versions that are older than what it sent before.",
        "Find out whether its system was restored. If so, record it with `solesource source-reset`; else nothing.",
    )
    HOLDS_ROSE = (
        "holds_rose",
        "Suddenly most changes of this system are held, so no more of them are taken in.",
        "Look at what changed just before: system, connector or ownership map. Then `solesource resume`.",
    )
    NOT_DECIDABLE = (
        "not_decidable",
        "Our own program failed over this record, so nothing was decided about it.",
        "Tell the platform team: this is a defect of SoleSource. The original stands in the log.",
    )
    NOT_WRITABLE = (
        "not_writable",
        "What would follow from this record is larger than a record may be.",
        "Ask the sending system's team to send less. The original stands in the log.",
    )
    PARKED_EXPIRED = (
        "parked_expired",
        "The write waited for its record, and the record was never created.",
        "Find out why the record is missing in the system that creates it.",
    )
    RECORD_NOT_YET = (
        "record_not_yet",
        "The record does not exist yet; the write waits for it.",
        "Nothing: it is merged when the record is created.",
    )
    STALE = ("stale", "A newer version of this was accepted already.", "Nothing.")
    DUPLICATE = ("duplicate", "This very change was judged already.", "Nothing.")
    LATE_ECHO = (
        "late_echo",
        "The value is one that we sent earlier and have replaced since.",
        "Nothing: the current value is sent again.",
    )
    ECHO = ("echo", "The value is the one in force already.", "Nothing.")
    ALREADY_DELETED = ("already_deleted", "The record does not exist.", "Nothing.")

    def __init__(self, code: str, sentence: str, what_to_do: str) -> None:
        self.code = code
        self.sentence = sentence
        self.what_to_do = what_to_do

    @property
    def rank(self) -> int:
        """Place in the order of precedence, 0 first."""
        return _RANKS[self]


_RANKS = {reason: rank for rank, reason in enumerate(Reason)}
BY_CODE = {reason.code: reason for reason in Reason}

UNREADABLE_REASONS = frozenset(
    {
        Reason.TOO_LARGE,
        Reason.BAD_KEY,
        Reason.MALFORMED_ENVELOPE,
        Reason.UNKNOWN_SCHEMA,
        Reason.UNREADABLE,
    }
)
"""Reasons whose outcome is *unreadable*: it could not be decoded, or exceeds a limit."""
BY_REFERENCE = frozenset({Reason.TOO_LARGE, Reason.NOT_DECIDABLE, Reason.NOT_WRITABLE})
"""Reasons whose case names the original's place in the log and its digest instead of holding its bytes."""
IN_THE_WAY = (Reason.NOT_DECIDABLE, Reason.NOT_WRITABLE)
"""Reasons that deciding does not find: the lane gives them to the one record over which a batch failed."""
BESIDE_AN_OUTCOME = frozenset({Reason.WRITE_WAR, Reason.OWNER_WENT_BACK, Reason.HOLDS_ROSE})
"""Reasons of cases that tell how things have gone for a while, beside the outcome of the change that showed it."""
