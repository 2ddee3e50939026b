"""The company's schema registry, as commands ask it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.cli.output import CommandRefused
from broker.settings import Settings
from schemas.remote import RemoteRegistry

T = TypeVar("T")


def of_registry(settings: Settings, ask: Callable[[RemoteRegistry], Awaitable[T]]) -> T:
    """What the registry in SOLESOURCE_REGISTRY_URL answers. Raises CommandRefused where none is named."""

    async def asked() -> T:
        registry = settings.registry()
        if registry is None:
            msg = "no registry is named [registry.no_url] Set SOLESOURCE_REGISTRY_URL."
            raise CommandRefused(msg)
        try:
            return await ask(registry)
        finally:
            await registry.close()

    return asyncio.run(asked())
