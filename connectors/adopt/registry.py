"""The registry whose schemas a foreign topic's values in Avro are written by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from connectors.adopt.avro_values import AvroReader, schema_named
from connectors.adopt.formats import Foreign
from connectors.adopt.settings import AdoptSettings, RegistrySettings
from connectors.sdk.clock import now_ms
from connectors.sdk.errors import ConfigInvalid, ConnectionLost
from schemas.remote import NotAvro, RegistryAway, RemoteRegistry


class Schemas:
    """Asks once for each schema that records name."""

    def __init__(self, connect: Callable[[], RemoteRegistry], reader: AvroReader) -> None:
        self._connect = connect
        self._registry: RemoteRegistry | None = connect()
        self._reader = reader

    async def learn(self, records: Iterable[Foreign]) -> None:
        """Let the reader know the schemas that these name. Raises ConnectionLost where the registry does not say."""
        named = {schema_named(part) for record in records for part in (record.key, record.value)}
        for number in sorted(
            number for number in named if number is not None and not self._reader.knows(number)
        ):
            self._registry = self._registry or self._connect()
            try:
                found = await self._registry.schema(number)
            except NotAvro as error:
                self._reader.learn(number, error.detail)
            except RegistryAway as error:
                raise ConnectionLost(error.detail, error.remedy) from error
            else:
                if found is not None:  # what is not there may come yet
                    self._reader.learn(number, found.document)

    async def close(self) -> None:
        """Disconnect, until it is asked again."""
        if self._registry is not None:
            await self._registry.close()
            self._registry = None


def schemas_of(settings: AdoptSettings, folder: Path, reader: AvroReader) -> Schemas | None:
    """What asks the registry that a configuration names; None where it names none. Raises ConfigInvalid."""
    if settings.registry is None:
        return None
    return Schemas(partial(_registry, settings.registry, folder), reader)


def _registry(settings: RegistrySettings, folder: Path) -> RemoteRegistry:
    credentials = (
        (settings.username, settings.password.read(folder))
        if settings.username is not None and settings.password is not None
        else None
    )
    authority = str(folder / settings.ca_file) if settings.ca_file else None
    try:
        return RemoteRegistry(settings.url, now_ms, credentials=credentials, ca_file=authority)
    except (ValueError, OSError) as error:
        msg = f"settings.registry: {error}"
        raise ConfigInvalid(msg) from error
