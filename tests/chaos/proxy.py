"""A proxy in front of one broker that knows where Kafka's requests and responses begin and end.

It loses or delays what it is told to; all else passes unchanged, signing in included. It runs in a thread of its own,
so that the test, the gate and the broker go on while it holds something back.
"""

from __future__ import annotations

import asyncio
import random
import struct
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import IntEnum
from types import TracebackType
from typing import Any, Literal, Self

from broker.embedded.files import LOOPBACK

ANSWER_S = 10.0
"""How long the broker's side stays open for what was asked of it before the client left."""
_HEADER = struct.Struct(">hhih")
_SIZE = struct.Struct(">i")


class Api(IntEnum):
    """Kafka's numbers of the requests that a transaction is made of."""

    PRODUCE = 0
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    END_TXN = 26


@dataclass(frozen=True, slots=True)
class Request:
    """The head of one request."""

    api: int
    version: int
    correlation: int
    client: str


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to requests of one kind, or to the responses to them."""

    api: Api
    client: str = ""
    """Only those of clients whose id begins so."""
    on: Literal["request", "response"] = "response"
    delay_s: float = 0.0
    """It is held back so long, and with it what comes behind it on that connection."""
    lost: Literal["", "closed", "silent"] = ""
    """Lost: the connection is closed, or stays open and silent for ever."""
    broken: bool = False
    """A delayed request whose connection is closed at once: the client knows of nothing, the request arrives."""
    times: int | None = 1
    """How often; None = always."""
    probability: float = 1.0
    seed: int = 0
    hits: int = 0
    """How often it happened."""
    _dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def strikes(self, request: Request, on: str) -> bool:
        """Does it happen to this one? Counts it."""
        if (request.api, on) != (self.api, self.on) or not request.client.startswith(self.client):
            return False
        if (self.times is not None and self.hits >= self.times) or self._dice.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def await_hit(self, timeout_s: float = 30.0) -> None:
        """Wait until it has happened. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while not self.hits:
            if time.monotonic() > deadline:
                raise TimeoutError(f"did not happen within {timeout_s:g} s: {self}")
            time.sleep(0.01)


def request_of(frame: bytes) -> Request | None:
    """The head of a request; None if this is none, as with signing in the way of before Kafka 1.0."""
    if len(frame) < _HEADER.size:
        return None
    api, version, correlation, length = _HEADER.unpack_from(frame)
    name = frame[_HEADER.size : _HEADER.size + max(length, 0)]
    if not 0 <= api < 128 or len(name) < length or not name.isascii():
        return None
    return Request(api, version, correlation, name.decode())


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame without its size; None when the other side has left."""
    try:
        (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, OSError):
        return None


def write_frame(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(_SIZE.pack(len(frame)) + frame)


class Proxy:
    """Listens on `port` of loopback and passes on to `target`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.faults: list[Fault] = []
        self.requests: Counter[tuple[int, str]] = Counter()
        """How many requests came, by kind and client id; those that were lost are counted too."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def add(self, fault: Fault) -> Fault:
        """From now on."""
        self.faults.append(fault)
        return fault

    def count(self, api: int, client: str = "") -> int:
        """How many requests of one kind came from clients whose id begins so."""
        return sum(
            n for (kind, name), n in list(self.requests.items()) if kind == api and name.startswith(client)
        )

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.05)  # connections say goodbye

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker = await asyncio.open_connection(LOOPBACK, self.target)
        except OSError:
            writer.close()
            return
        connection = _Connection(self, (reader, writer), broker)
        try:
            await connection.run()
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()
            broker[1].close()

    def strike(self, request: Request | None, on: str) -> Fault | None:
        """The first fault that happens to this one."""
        if request is None:
            return None
        return next((fault for fault in self.faults if fault.strikes(request, on)), None)


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """One client's connection and the one to the broker that stands for it."""

    def __init__(self, proxy: Proxy, client: Stream, broker: Stream) -> None:
        self._proxy = proxy
        self._client_in, self._client_out = client
        self._broker_in, self._broker_out = broker
        self._asked: dict[int, Request] = {}
        self._silent = False

    async def run(self) -> None:
        answers = asyncio.create_task(self._pass_responses())
        await self._pass_requests()
        # What was held back while the client left is still asked, as by a network that is late.
        deadline = time.monotonic() + ANSWER_S
        while self._asked and not answers.done() and time.monotonic() < deadline:  # noqa: ASYNC110 - ends by time too
            await asyncio.sleep(0.01)
        answers.cancel()
        await asyncio.wait([answers])

    async def _pass_requests(self) -> None:
        while (frame := await read_frame(self._client_in)) is not None:
            request = request_of(frame)
            if request is not None:
                self._proxy.requests[request.api, request.client] += 1
            fault = self._proxy.strike(request, "request")
            if fault is not None:
                if fault.broken:
                    self._client_out.close()
                await asyncio.sleep(fault.delay_s)
                if self._lose(fault):
                    continue
            if request is not None:
                self._asked[request.correlation] = request
            write_frame(self._broker_out, frame)

    async def _pass_responses(self) -> None:
        while (frame := await read_frame(self._broker_in)) is not None:
            (correlation,) = _SIZE.unpack_from(frame)
            fault = self._proxy.strike(self._asked.pop(correlation, None), "response")
            if fault is not None:
                await asyncio.sleep(fault.delay_s)
                self._lose(fault)
            if not self._silent and not self._client_out.is_closing():
                write_frame(self._client_out, frame)
        self._client_out.close()

    def _lose(self, fault: Fault) -> bool:
        if fault.lost:
            self._silent = True
        if fault.lost == "closed":
            self._client_out.close()
        return bool(fault.lost)
