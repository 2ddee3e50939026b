"""The proxy finds requests and responses in the stream, and does to them what it is told, no more and no less."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from broker.embedded.files import LOOPBACK
from tests.chaos.proxy import Api, Fault, Proxy, Request, request_of

NAME = b"gate-slot-1"


def head(api: int, correlation: int, name: bytes | None = NAME) -> bytes:
    length = -1 if name is None else len(name)
    return struct.pack(">hhih", api, 0, correlation, length) + (name or b"")


def framed(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


class Echo:
    """A broker that answers every request with its correlation id and its own bytes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while (request := receive(connection)) is not None:
                self.heard.append(request)
                connection.sendall(framed(request[4:8] + request))

    def close(self) -> None:
        self._listener.close()


def receive(connection: socket.socket) -> bytes | None:
    try:
        (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
        return connection.recv(size, socket.MSG_WAITALL)
    except (struct.error, OSError):
        return None


@pytest.fixture
def broker() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxy(broker: Echo) -> Iterator[Proxy]:
    with Proxy(broker.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection((LOOPBACK, proxy.port), timeout=5) as connection:
        yield connection


def ask(client: socket.socket, request: bytes) -> bytes | None:
    client.sendall(framed(request))
    return receive(client)


def test_the_head_of_a_request_is_read() -> None:
    assert request_of(head(26, 7) + b"body") == Request(26, 0, 7, "gate-slot-1")
    assert request_of(head(0, 1, None) + b"\xff") == Request(0, 0, 1, "")


@pytest.mark.parametrize("frame", [b"", b"\0\1", b"n,,n=user,r=nonce", head(26, 7)[:-1]])
def test_what_is_no_request_is_none(frame: bytes) -> None:
    assert request_of(frame) is None


def test_all_else_passes_unchanged_in_any_pieces(proxy: Proxy, broker: Echo, client: socket.socket) -> None:
    requests = [head(3, number) + bytes(number * 1000) for number in range(20)] + [b"raw token"]
    for byte in framed(requests[0]):
        client.sendall(bytes((byte,)))
    client.sendall(b"".join(map(framed, requests[1:])))
    assert [receive(client) for _ in requests] == [request[4:8] + request for request in requests]
    assert broker.heard == requests
    assert proxy.count(3) == proxy.count(3, "gate-slot") == 20
    assert proxy.count(3, "other") == 0


def test_a_response_is_lost_once_and_the_connection_closed(
    proxy: Proxy, broker: Echo, client: socket.socket
) -> None:
    fault = proxy.add(Fault(api=Api.END_TXN, lost="closed"))
    assert ask(client, head(3, 1)) is not None
    assert ask(client, head(26, 2)) is None
    assert broker.heard[-1] == head(26, 2)
    with socket.create_connection((LOOPBACK, proxy.port), timeout=5) as again:
        assert ask(again, head(26, 1)) is not None
    assert fault.hits == 1


def test_a_request_is_lost(proxy: Proxy, broker: Echo, client: socket.socket) -> None:
    fault = proxy.add(Fault(api=Api.END_TXN, on="request", lost="closed"))
    assert ask(client, head(26, 2)) is None
    assert (broker.heard, fault.hits, proxy.count(26)) == ([], 1, 1)


def test_a_silent_connection_stays_open(proxy: Proxy, client: socket.socket) -> None:
    proxy.add(Fault(api=Api.PRODUCE, lost="silent"))
    client.settimeout(0.3)
    client.sendall(framed(head(0, 1)) + framed(head(3, 2)))
    with pytest.raises(TimeoutError):
        client.recv(1)


def test_a_response_is_delayed_and_what_comes_behind_it(proxy: Proxy, client: socket.socket) -> None:
    proxy.add(Fault(api=Api.PRODUCE, delay_s=0.3))
    began = time.monotonic()
    client.sendall(framed(head(0, 1)) + framed(head(3, 2)))
    answers = [receive(client), receive(client)]
    assert answers == [head(0, 1)[4:8] + head(0, 1), head(3, 2)[4:8] + head(3, 2)]
    assert time.monotonic() - began >= 0.3


def test_a_delayed_request_arrives_although_its_client_has_left(
    proxy: Proxy, broker: Echo, client: socket.socket
) -> None:
    fault = proxy.add(Fault(api=Api.END_TXN, on="request", delay_s=0.3))
    client.sendall(framed(head(26, 1)))
    fault.await_hit()
    client.close()
    assert broker.heard == []
    time.sleep(0.6)
    assert broker.heard == [head(26, 1)]


def test_a_delayed_request_arrives_behind_a_broken_connection(
    proxy: Proxy, broker: Echo, client: socket.socket
) -> None:
    proxy.add(Fault(api=Api.END_TXN, on="request", delay_s=0.3, broken=True))
    assert ask(client, head(26, 1)) is None
    assert broker.heard == []
    time.sleep(0.6)
    assert broker.heard == [head(26, 1)]


def test_other_clients_are_left_alone(proxy: Proxy, client: socket.socket) -> None:
    fault = proxy.add(Fault(api=Api.END_TXN, client="gate-slot-2", lost="closed", times=None))
    assert ask(client, head(26, 1)) is not None
    assert fault.hits == 0


def test_chance_comes_from_the_seed() -> None:
    request = Request(0, 0, 1, "")
    faults = [Fault(api=Api.PRODUCE, times=None, probability=0.5, seed=seed) for seed in (1, 1, 2)]
    struck = [[fault.strikes(request, "response") for _ in range(100)] for fault in faults]
    assert struck[0] == struck[1] != struck[2]
    assert 30 < faults[0].hits == sum(struck[0]) < 70
