"""What PostgreSQL's error codes mean for a connector: one table, tested row by row. Messages never hold
values.
"""

from __future__ import annotations

from enum import StrEnum

import psycopg

from connectors.sdk.errors import ConnectionLost, ConnectorError
from connectors.sdk.sink import Failed, Retry


class Reaction(StrEnum):
    """What to do about a fault."""

    RETRY = "retry"
    LOST = "lost"
    FAIL = "fail"


SQLSTATES: tuple[tuple[str, Reaction, str], ...] = (
    ("40001", Reaction.RETRY, "another transaction was in the way"),
    ("40P01", Reaction.RETRY, "another transaction was in the way (deadlock)"),
    ("55P03", Reaction.RETRY, "the row is locked"),
    ("55006", Reaction.RETRY, "the object is in use"),
    ("57014", Reaction.RETRY, "the statement was cancelled or took too long"),
    ("53", Reaction.RETRY, "the server is short of resources"),
    ("25006", Reaction.RETRY, "the server is read-only at the moment"),
    ("08", Reaction.LOST, "the connection broke"),
    ("57P", Reaction.LOST, "the server is stopping or starting"),
    ("28", Reaction.LOST, "the server does not let the connector in"),
    ("3D000", Reaction.LOST, "the database does not exist"),
    ("22", Reaction.FAIL, "a value does not fit its column"),
    ("23", Reaction.FAIL, "a constraint does not allow it"),
    ("42501", Reaction.FAIL, "the connector's role lacks a right"),
    ("42", Reaction.FAIL, "table or columns are not as configured"),
    ("P0001", Reaction.FAIL, "a trigger of the application refused it"),
)
"""(SQLSTATE or its beginning, reaction, meaning), first match wins; anything else is tried again."""


def reaction_to(sqlstate: str | None) -> tuple[Reaction, str]:
    """Reaction and meaning. Without a code the connection itself failed."""
    if sqlstate is None:
        return Reaction.LOST, "the server cannot be reached"
    found = ((reaction, text) for start, reaction, text in SQLSTATES if sqlstate.startswith(start))
    return next(found, (Reaction.RETRY, "an unexpected fault"))


def outcome_of(error: psycopg.Error) -> Retry | Failed:
    """The outcome of an update that met this error. Raises ConnectionLost where the whole server is away."""
    reaction, meaning = reaction_to(error.sqlstate)
    if reaction is Reaction.LOST:
        raise ConnectionLost(f"PostgreSQL: {meaning}") from error
    named = [text for text in (error.diag.constraint_name, error.diag.column_name) if text]
    message = f"{meaning} ({', '.join([*named, str(error.sqlstate)])})"
    return (Retry if reaction is Reaction.RETRY else Failed)(f"postgres.{error.sqlstate}", message)


def fault_of(error: psycopg.Error, where: str) -> ConnectorError:
    """The same for a step that is not an update."""
    reaction, meaning = reaction_to(error.sqlstate)
    if reaction is Reaction.LOST:
        return ConnectionLost(f"PostgreSQL, {where}: {meaning}")
    return ConnectorError(
        f"PostgreSQL, {where}: {meaning} ({error.sqlstate})",
        "See the rights and settings under PostgreSQL in docs/reference/connectors.md.",
        code=f"postgres.{error.sqlstate}",
    )
