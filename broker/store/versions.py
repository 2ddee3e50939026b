"""The versions of the map that have been in force, as control found them on Kafka."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from broker.published import PublishedMap
from broker.store.engine import upsert
from broker.store.tables import map_versions


def index_versions(connection: Connection, versions: Iterable[PublishedMap]) -> None:
    """Write versions; of two under one number the first is in force, and stays."""
    rows = [
        {
            "version": one.version,
            "digest": one.digest,
            "documents": dict(one.documents),
            "by": one.by,
            "published_ms": one.published_ms,
        }
        for one in versions
    ]
    upsert(connection, map_versions, rows, replace=False)


def newest_version(connection: Connection) -> PublishedMap:
    """The map in force as far as it is indexed; version 0 where none is."""
    found = connection.execute(select(map_versions).order_by(map_versions.c.version.desc()).limit(1)).first()
    return PublishedMap() if found is None else _published(found)


def newest_known(connection: Connection) -> tuple[int, str]:
    """Its number and digest, without its documents; (0, "") where none is indexed."""
    query = select(map_versions.c.version, map_versions.c.digest)
    found = connection.execute(query.order_by(map_versions.c.version.desc()).limit(1)).first()
    return (0, "") if found is None else (int(found[0]), str(found[1]))


def versions_known(connection: Connection, limit: int = 1000) -> list[PublishedMap]:
    """The latest versions, oldest first."""
    rows = connection.execute(select(map_versions).order_by(map_versions.c.version.desc()).limit(limit)).all()
    return [_published(row) for row in reversed(rows)]


def versions_of_file(connection: Connection, file: str, limit: int) -> list[tuple[int, str, int, str | None]]:
    """(version, by, published in ms, text of one file) of the latest versions, oldest first; None = not in it.

    The database picks the text: a map may have a thousand files.
    """
    text = map_versions.c.documents[file].as_string()
    query = select(map_versions.c.version, map_versions.c.by, map_versions.c.published_ms, text)
    rows = connection.execute(query.order_by(map_versions.c.version.desc()).limit(limit)).all()
    return [(int(row[0]), str(row[1]), int(row[2]), row[3]) for row in reversed(rows)]


def _published(row: object) -> PublishedMap:
    facts = row._asdict()  # type: ignore[attr-defined]
    return PublishedMap(**facts)
