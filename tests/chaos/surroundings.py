"""What a worker of a campaign finds around it: Kafka behind proxies, and a disk that is full for a while.

Wrapped from outside, as the named points are. A full disk is what `CHAOS_ORDERS`/disk-full says: so long, in seconds
since 1970, nothing can be written below the gate's folder of states, and no database can be opened there.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FULL, SAID = "disk-full", "disk-full-said"
NO_SPACE = "IO error: No space left on device: While appending to file"
"""As RocksDB says it."""


class Disk:
    """Whether there is room on this machine."""

    def __init__(self, folder: Path) -> None:
        self._until, self._said = folder / FULL, folder / SAID

    def fill(self, seconds: float) -> None:
        """From now on, for so long."""
        self._until.write_text(str(time.time() + seconds))

    def refuses(self) -> bool:
        """Is it full now? Said to somebody who wanted to write, and counted."""
        try:
            full = time.time() < float(self._until.read_text() or 0)
        except FileNotFoundError:
            return False
        if full:
            with self._said.open("a") as said:
                said.write(f"{os.getpid()}\n")
        return full

    @property
    def refused(self) -> int:
        """How often it said so, to all workers together."""
        return len(self._said.read_text().splitlines()) if self._said.exists() else 0


class _Database:
    """A database on that disk. One write that failed is followed by no other: it must be opened again."""

    def __init__(self, database: Any, disk: Disk) -> None:
        self._database, self._disk, self._broken = database, disk, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def write(self, batch: Any) -> None:
        self._broken = self._broken or self._disk.refuses()
        if self._broken:
            raise OSError(NO_SPACE)
        self._database.write(batch)


def fill_up(disk: Disk) -> None:
    """Put the disk between the gate and its states."""
    from broker.lane import rocks

    opened, write_bytes = rocks.opened, Path.write_bytes

    def on_disk(path: Path, wait_s: float = 0.0) -> Any:
        if disk.refuses():
            raise OSError(NO_SPACE)
        return _Database(opened(path, wait_s), disk)

    def written(self: Path, data: Any) -> int:
        if self.name.startswith("room-") and disk.refuses():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_bytes(self, data)

    rocks.opened, Path.write_bytes = on_disk, written  # type: ignore[method-assign]


def connect_through(ports: Mapping[str, int]) -> None:
    """Connect to the proxy that stands before a broker wherever that broker is named."""
    from aiokafka import client

    create_conn = client.create_conn

    @functools.wraps(create_conn)
    async def by_proxy(host: str, port: int, **options: Any) -> Any:
        return await create_conn(host, ports.get(str(port), port), **options)

    client.create_conn = by_proxy


def surround(environment: Mapping[str, str]) -> None:
    """All of it, as the campaign said when it started this worker."""
    fill_up(Disk(Path(environment["CHAOS_ORDERS"])))
    connect_through(json.loads(environment.get("CHAOS_PROXIES", "{}")))
