"""Proxies before all brokers that lose and delay what Kafka says about transactions, when the schedule says so.

Only workers of the gate go through them: `tests/chaos/gate.py` connects there where a broker says it is. They run in a
process of their own, so that writers and readers of the campaign do not slow the gate down.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack
from multiprocessing.connection import Connection

from tests.chaos.proxy import Api, Fault, Proxy

Make = Callable[[float], Fault]
CLIENT = "gate-"
"""Producers of slots and projectors bear their transactional id as client id."""
WAITS_S = 15.0
"""An answer that nobody has waited for by then is not lost any more."""
START_S, LOOK_S = 60.0, 0.2
ANSWERS: dict[str, Make] = {
    "produce_lost": lambda _: Fault(api=Api.PRODUCE, client=CLIENT, lost="closed"),
    "end_lost": lambda _: Fault(api=Api.END_TXN, client=CLIENT, lost="closed"),
    "produce_late": lambda late_s: Fault(api=Api.PRODUCE, client=CLIENT, delay_s=late_s),
    "end_late": lambda late_s: Fault(api=Api.END_TXN, client=CLIENT, delay_s=late_s),
    "produce_silent": lambda _: Fault(api=Api.PRODUCE, client=CLIENT, lost="silent"),
    "end_silent": lambda _: Fault(api=Api.END_TXN, client=CLIENT, lost="silent"),
    "end_asked_late": lambda late_s: Fault(
        api=Api.END_TXN, client=CLIENT, on="request", delay_s=late_s, broken=True
    ),
}
"""What happens to the next answer of each broker; the argument: seconds it is late by. The last: EndTxn arrives that
late, behind a connection that is closed at once."""


class Answers:
    """One proxy before each broker, by its port; they run until `close`. Raises TimeoutError when they do not start."""

    def __init__(self, ports: Collection[int]) -> None:
        context = multiprocessing.get_context("spawn")  # threads of the campaign must not be copied
        self._told, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(tuple(ports), theirs), name="proxies", daemon=True)
        self._process.start()
        if not self._told.poll(START_S):
            raise TimeoutError("the proxies do not start")
        self._ports: dict[int, int] = self._told.recv()
        self.struck: Counter[str] = Counter()
        """How often it happened, by name; complete once it is closed."""

    @property
    def environment(self) -> dict[str, str]:
        """For a worker: port of a broker to the port before it."""
        return {"CHAOS_PROXIES": json.dumps({str(port): before for port, before in self._ports.items()})}

    def add(self, name: str, late_s: float) -> None:
        """From now on, once at each broker, until `WAITS_S` are over."""
        self._told.send((name, late_s))

    def stop(self) -> None:
        """Nothing is lost or late any more; what happened is counted."""
        self._told.send(None)
        self.struck = self._told.recv() if self._told.poll(START_S) else Counter()

    def close(self) -> None:
        """Nobody gets through any more."""
        self._process.terminate()
        self._process.join(10)


def _run(ports: Collection[int], told: Connection) -> None:
    """The process of the proxies."""
    with ExitStack() as running:
        proxies = [running.enter_context(Proxy(port)) for port in ports]
        told.send({proxy.target: proxy.port for proxy in proxies})
        waiting: list[tuple[float, str, Proxy, Fault]] = []
        struck: Counter[str] = Counter()
        while True:
            order = told.recv() if told.poll(LOOK_S) else ()
            for entry in list(waiting):
                until, name, proxy, fault = entry
                if fault.hits or order is None or time.monotonic() >= until:
                    waiting.remove(entry)
                    proxy.faults = [other for other in proxy.faults if other is not fault]
                    struck[name] += fault.hits
            if order is None:
                told.send(struck)
            elif order:
                name, late_s = order
                until = time.monotonic() + WAITS_S
                waiting += [(until, name, proxy, proxy.add(ANSWERS[name](late_s))) for proxy in proxies]
