"""What to send Tryton for an update: values of a party and of its contact mechanisms, in one record. Pure.

Contact mechanisms are changed through the party: the setters of their function fields refuse, and one call is
enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.sdk.sink import Update
from connectors.tryton.parties import MECHANISM, PARTY, Image, digest_of
from connectors.tryton.settings import CONTACT, CREDIT_LIMIT, PartyMapping


@dataclass(frozen=True, slots=True)
class PartyWrite:
    """One party's part of a bulk call."""

    code: str
    id: int
    """0 for a new party."""
    values: Mapping[str, Any]
    timestamps: Mapping[str, str]
    """Tryton refuses the call if one of these records changed since."""
    digest: str
    """Of the party's content after the write."""


def creation_of(update: Update, mapping: PartyMapping) -> PartyWrite:
    """A new party with every field that is not Tryton's own."""
    values: dict[str, Any] = {"code": update.key}
    mechanisms = []
    after: dict[str, Any] = dict.fromkeys(mapping.fields)
    for name, part in mapping.fields.items():
        if part == "code":
            after[name] = update.key
        if name not in update.writable or part in ("code", CREDIT_LIMIT):
            continue
        value = after[name] = update.values[name]
        if not part.startswith(CONTACT):
            values[part] = value
        elif value:
            mechanisms.append({"type": part.removeprefix(CONTACT), "value": value})
    if mechanisms:
        values["contact_mechanisms"] = [["create", mechanisms]]
    return PartyWrite(update.key, 0, values, {}, digest_of(after))


def write_of(update: Update, image: Image, mapping: PartyMapping) -> PartyWrite | None:
    """The difference between the update and the party as it is; None when there is none."""
    values: dict[str, Any] = {}
    timestamps = {f"{PARTY},{image.id}": image.timestamp}
    after = dict(image.values)
    if update.deleted:
        values = {"active": False} if image.active else {}
    else:
        mechanisms: list[Any] = []
        for name in sorted(update.write & set(mapping.fields)):
            part, value = mapping.fields[name], update.values[name]
            if part in ("code", CREDIT_LIMIT) or (value or None) == (image.values.get(name) or None):
                continue
            after[name] = value
            if part.startswith(CONTACT):
                mechanisms.append(_mechanism(name, part, value, image, timestamps))
            else:
                values[part] = value
        if mechanisms:
            values["contact_mechanisms"] = mechanisms
        if not image.active and update.created:
            values["active"] = True
    if not values:
        return None
    return PartyWrite(update.key, image.id, values, timestamps, digest_of(after))


def _mechanism(
    name: str, part: str, value: str | None, image: Image, timestamps: dict[str, str]
) -> list[Any]:
    known = image.mechanisms.get(name)
    if known is None:
        return ["create", [{"type": part.removeprefix(CONTACT), "value": value}]]
    timestamps[f"{MECHANISM},{known.id}"] = known.timestamp
    if not value:
        return ["delete", [known.id]]
    return ["write", [known.id], {"value": value}]
