"""The seat that a killed worker leaves in the group: the next worker on the same machine gives it back at once.

Kafka keeps a member that fell silent for the session's time-out, and its slots stand still meanwhile. A dead process
cannot say that it left; whoever finds it gone can. A worker that only hangs keeps its seat: that is Kafka's to judge.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

log = structlog.get_logger()


class Seats:
    """The members of one group that were started on this machine; one small file each, in `folder`."""

    def __init__(self, folder: Path, group: str) -> None:
        self._folder = folder
        self._group = group
        self._prefix = f"seat-{socket.gethostname()}-"

    def take(self, consumer: Any) -> None:
        """Write down who this process is in the group; called whenever the group has answered."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._prefix}{os.getpid()}"
        path.write_text(consumer._coordinator.member_id, "utf-8")  # noqa: SLF001 - aiokafka has no public name for it

    def leave(self) -> None:
        """This process has left the group by itself."""
        (self._folder / f"{self._prefix}{os.getpid()}").unlink(missing_ok=True)

    async def give_back(self, consumer: Any) -> int:
        """Let dead members leave; `consumer` is started and not subscribed yet. How many there were."""
        left = 0
        for path in sorted(self._folder.glob(f"{self._prefix}*")):
            if not _is_dead(int(path.name.removeprefix(self._prefix))):
                continue
            try:
                member = path.read_text("utf-8")
                path.unlink()
            except FileNotFoundError:
                continue  # several workers start at once: another one gives it back
            try:
                await self._let_leave(consumer._coordinator, member)  # noqa: SLF001
            except KafkaError as error:
                log.warning("lane.seat_kept", error=type(error).__name__)  # the session's time-out remains
            left += 1
        return left

    async def _let_leave(self, coordinator: Any, member: str) -> None:
        await coordinator.ensure_coordinator_known()
        answer = await coordinator._send_req(LeaveGroupRequest(self._group, member))  # noqa: SLF001
        log.info("lane.seat_given_back", member=member, error_code=answer.error_code)


def _is_dead(process: int) -> bool:
    if process == os.getpid():
        return True  # a container's first process: the one before had the same number
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
