"""What the configuration of a PostgreSQL connector says: where the database is, and which column is which
field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from psycopg import conninfo
from pydantic import Field

from connectors.sdk.adapter import Context
from connectors.sdk.config import SecretReference, Section, checked
from connectors.sdk.errors import ConfigInvalid

IDENTIFIER = r"^[a-z_][a-z0-9_]{0,62}$"


@dataclass(frozen=True, slots=True)
class PostgresAccess:
    """Where the database is and who signs in."""

    dsn: str
    password: str | None = field(repr=False)


class Guarding(StrEnum):
    """What the application meets at the edit of what is not its system's."""

    REFUSE = "refuse"
    WARN = "warn"
    OFF = "off"
    """A trigger that is there is taken away."""


class PostgresSettings(Section):
    """The `settings` section."""

    dsn: str | SecretReference
    """Connection string or URL; without a password in it, unless it is a reference itself."""
    password: SecretReference | None = None
    slot: str = Field(default="solesource", pattern=IDENTIFIER)
    """Replication slot of this connector alone, made if missing."""
    publication: str = Field(default="solesource", pattern=IDENTIFIER)
    """Publication of the mapped tables, made if missing."""
    changes_max: int = Field(default=2000, ge=1, le=100_000)
    """Changes read at a time; a transaction is never cut, so a larger one is read whole."""
    page: int = Field(default=1000, ge=1, le=100_000)
    """Rows of a snapshot read at a time."""
    guard: Guarding | None = None
    """Whether the tables get a trigger; None = whatever is there stays."""

    def access(self, folder: Path) -> PostgresAccess:
        """The access, with the secrets read. Raises ConfigInvalid."""
        literal = isinstance(self.dsn, str)
        dsn = self.dsn if isinstance(self.dsn, str) else self.dsn.read(folder)
        if literal and conninfo.conninfo_to_dict(dsn).get("password"):
            msg = "settings.dsn holds a password"
            raise ConfigInvalid(msg, "Leave it out and name it under settings.password, by reference.")
        return PostgresAccess(dsn, None if self.password is None else self.password.read(folder))


class TableMapping(Section):
    """One entry of `objects`: the table of an object."""

    table: str
    """`schema.table`, or a table in `public`."""
    key: str
    """Column of the record's key: the primary key."""
    fields: dict[str, str] = Field(min_length=1)
    """Field of the contract -> column."""
    insert: bool = True
    """Whether the sink may add rows; false where this system itself creates the records."""

    @property
    def place(self) -> tuple[str, str]:
        """(schema, table)."""
        schema, dot, table = self.table.partition(".")
        return (schema, table) if dot else ("public", schema)


def mappings_of(context: Context) -> Mapping[str, TableMapping]:
    """The checked `objects` section. Raises ConfigInvalid, also for fields not in the contract."""
    found = {}
    for name, document in context.objects.items():
        mapping = checked(TableMapping, document, f"objects.{name}")
        context.require_fields(name, mapping.fields)
        found[name] = mapping
    return found
