"""Proxies before all brokers that lose and delay what Kafka says about transactions, when the schedule says so.

Only workers of the gate go through them: `tests/chaos/gate.py` connects there where a broker says it is.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack

from tests.chaos.proxy import Api, Fault, Proxy

Make = Callable[[float], Fault]
CLIENT = "gate-"
"""Producers of slots and projectors bear their transactional id as client id."""
WAITS_S = 15.0
"""An answer that nobody has waited for by then is not lost any more."""
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
    """One proxy before each broker, by its port; they run until `close`."""

    def __init__(self, ports: Collection[int]) -> None:
        self._proxies = {port: Proxy(port) for port in ports}
        self._open = ExitStack()
        for proxy in self._proxies.values():
            self._open.enter_context(proxy)
        self._waiting: list[tuple[float, str, Proxy, Fault]] = []
        self.struck: Counter[str] = Counter()
        """How often it happened, by name."""

    def close(self) -> None:
        """Nobody gets through any more."""
        self._open.close()

    @property
    def environment(self) -> dict[str, str]:
        """For a worker: port of a broker to the port before it."""
        ports = {str(port): proxy.port for port, proxy in self._proxies.items()}
        return {"CHAOS_PROXIES": json.dumps(ports)}

    def add(self, name: str, late_s: float) -> None:
        """From now on, once at each broker, until `WAITS_S` are over."""
        for proxy in self._proxies.values():
            fault = proxy.add(ANSWERS[name](late_s))
            self._waiting.append((time.monotonic() + WAITS_S, name, proxy, fault))

    def tend(self, *, over: bool = False) -> None:
        """Count what happened, and take back what did not in time; `over`: all of it."""
        now = time.monotonic()
        for entry in list(self._waiting):
            until, name, proxy, fault = entry
            if fault.hits or over or now >= until:
                self._waiting.remove(entry)
                proxy.faults = [other for other in proxy.faults if other is not fault]
                self.struck[name] += fault.hits
