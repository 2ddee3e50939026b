"""Bringing the tables of what people decided to a step of their migrations, forward or back.

Forward happens by itself when a database is opened. Back is for whoever goes back to an older program, and never drops
a table with rows in it unless it is told to.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select, table

from broker.store.errors import StoreAheadError, StoreHoldsRowsError, StoreStepUnknownError

_HERE = Path(__file__).parent / "migrations"


@cache
def _steps() -> ScriptDirectory:
    return ScriptDirectory(str(_HERE), str(_HERE / "versions"))


def head() -> str:
    """The newest step that this program knows."""
    found = _steps().get_current_head()
    assert found is not None
    return found


def step_of(connection: Connection) -> str:
    """The step that a database is at; "" = none yet."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def forward(connection: Connection) -> None:
    """To the newest step. Raises StoreAheadError where a newer program was here before."""
    at = step_of(connection)
    if at == head():
        return
    if at and at not in _known():
        msg = f"the database is at step {at}, this program knows {head()} as the newest"
        raise StoreAheadError(msg)
    command.upgrade(_config(connection), "head")


def back(connection: Connection, step: str, *, with_rows: bool = False) -> list[str]:
    """To an older step; returns the tables that are gone. `with_rows`: also those that hold something.

    Raises StoreStepUnknownError, and StoreHoldsRowsError before anything is changed.
    """
    if step not in _known():
        msg = f"there is no step {step!r}"
        raise StoreStepUnknownError(msg, f"Known are: {', '.join(_known())}.")
    before = set(inspect(connection).get_table_names())
    place = connection.begin_nested()
    held = {name: _rows(connection, name) for name in sorted(before)}
    command.downgrade(_config(connection), step)
    gone = sorted(before - set(inspect(connection).get_table_names()))
    full = [f"{name} ({held[name]} rows)" for name in gone if held[name]]
    if full and not with_rows:
        place.rollback()
        msg = f"going back to step {step} drops {', '.join(full)}"
        raise StoreHoldsRowsError(msg)
    place.commit()
    return gone


def _known() -> list[str]:
    return sorted(one.revision for one in _steps().walk_revisions())


def _rows(connection: Connection, name: str) -> int:
    return int(connection.scalar(select(func.count()).select_from(table(name))) or 0)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("version_locations", str(_HERE / "versions").replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config
