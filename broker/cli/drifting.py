"""`solesource map drift`: where files, Kafka and what was approved are not the map in force."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import typer
from confluent_kafka.admin import AdminClient

from broker.access import KafkaAccess
from broker.cli.files import settings_of
from broker.cli.governed import database
from broker.cli.maps import Folder
from broker.cli.output import DIFFERENCES, AsJson, show, table_of
from broker.governance.approved import without_request
from broker.kafka.admin import CONTROL, admin_client
from broker.kafka.drift import Drift, of_rights, of_topics, of_walls
from broker.kafka.estate import newest_map
from broker.kafka.planning import compiled, planned
from broker.published import PublishedMap
from broker.settings import Settings
from broker.store.decided import Session
from broker.store.engine import reading
from ownership.map import OwnershipMap


@dataclass(frozen=True)
class _Beside:
    """What everything is compared with."""

    settings: Settings
    access: KafkaAccess
    newest: PublishedMap
    in_force: OwnershipMap

    @cached_property
    def admin(self) -> AdminClient:
        """Whoever may look at rights and settings."""
        return admin_client(self.settings.access("admin"))


def drift(folder: Folder = None, as_json: AsJson = False) -> None:
    """Say where files, rights, topics, and what systems were told are not the map in force; exit status 2 then."""
    settings = settings_of(folder)
    access = settings.access(CONTROL)
    newest = newest_map(access)
    beside = _Beside(settings, access, newest, compiled(newest))
    rows = [one._asdict() for kind, look in _LOOKS for one in _looked(kind, look, beside)]
    columns = {"kind": "What", "where": "Where", "detail": "Is otherwise", "mend": "Mend it"}
    title = f"Beside version {newest.version} of the map, published by {newest.by}"
    text = f"Everything is as version {newest.version} of the map says."
    show(rows, as_json=as_json, table=table_of(rows, columns, title) if rows else None, text=text)
    if rows:
        raise typer.Exit(DIFFERENCES)


def _files(beside: _Beside) -> Iterator[Drift]:
    for change in planned(beside.newest, beside.settings.map_documents()).changes:
        where = change.object or "systems and files"
        yield Drift("file", where, f"the files say: {change.words}", "solesource map plan")


def _rights(beside: _Beside) -> Iterator[Drift]:
    yield from of_rights(beside.admin, beside.in_force)


def _topics(beside: _Beside) -> Iterator[Drift]:
    settings = beside.settings
    yield from of_topics(beside.admin, beside.in_force, partitions=settings.partitions, slots=settings.slots)


def _told(beside: _Beside) -> Iterator[Drift]:
    yield from of_walls(beside.admin, beside.access, beside.in_force)


def _approvals(beside: _Beside) -> Iterator[Drift]:
    if beside.settings.approvals == "off":
        return
    with reading(database(beside.settings)) as connection, Session(connection) as session:
        for version, by, words in without_request(session):
            detail = f"{by} published it without a request: {words}"
            yield Drift("map", f"version {version}", detail, "ask for it, or solesource map plan --back-to")


Look = Callable[[_Beside], Iterator[Drift]]
_LOOKS: tuple[tuple[str, Look], ...] = (
    ("file", _files),
    ("map", _approvals),
    ("right", _rights),
    ("topic", _topics),
    ("told", _told),
)


def _looked(kind: str, look: Look, beside: _Beside) -> Iterator[Drift]:
    try:
        yield from look(beside)
    except Exception as error:
        if not hasattr(error, "code"):
            raise
        # What cannot be looked at may have drifted: that is not silence.
        yield Drift(kind, "not looked at", str(error), "as it says")
