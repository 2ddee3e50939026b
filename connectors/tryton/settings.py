"""What the configuration of a Tryton connector says: where Tryton is, and which part of a party is which
field.
"""

from typing import Any

from pydantic import Field, field_validator

from connectors.sdk.config import SecretReference, Section

CONTACT = "contact:"
CREDIT_LIMIT = "credit_limit_amount"


class TrytonSettings(Section):
    """The `settings` section."""

    url: str
    database: str
    user: str
    password: SecretReference
    company: int | None = None
    """Company whose credit limits are meant; default: the user's own."""
    zone: str = "UTC"
    """Time zone of Tryton's database session, in which its naive write dates are meant."""
    page: int = Field(default=200, ge=1, le=1000)
    """Parties read, created or written in one call."""
    overlap_s: int = Field(default=60, ge=1, le=3600)
    """Longest transaction in Tryton: how far back late commits are looked for."""
    timeout_s: int = Field(default=60, ge=1, le=600)
    """Longest wait for an answer."""


class PartyMapping(Section):
    """The one entry of `objects`: field of the contract -> part of a party.

    A part is a plain attribute (`code`, `name`), `contact:<type>` (the first active contact mechanism of that
    type), or `credit_limit_amount` (of the company; read only: the ERP's own).
    """

    key: str = "code"
    fields: dict[str, str] = Field(min_length=1)
    only: list[Any] = Field(default_factory=list)
    """A Tryton domain that limits which parties are told, such as `[[code, like, "C-%"]]`."""
    create: bool = True
    """Whether the sink may create parties; false where Tryton itself creates the records."""

    @field_validator("key")
    @classmethod
    def _code(cls, key: str) -> str:
        if key != "code":
            msg = "parties are found by code"
            raise ValueError(msg)
        return key
