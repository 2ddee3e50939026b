"""Sessions on the server, and the brake on failed sign-ins. Kept in memory: a restart signs everybody out."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import deque
from dataclasses import dataclass, field

from broker.clock import now_ms

IDLE_MS = 15 * 60_000
ABSOLUTE_MS = 8 * 3_600_000
FAILURES_MAX = 8
FAILURES_WINDOW_MS = 5 * 60_000
SESSIONS_MAX = 2_000


@dataclass(slots=True)
class Session:
    """A signed-in browser."""

    name: str
    began_ms: int
    seen_ms: int
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    def fits(self, token: str) -> bool:
        """Whether a form carries this session's token."""
        return hmac.compare_digest(self.form_token.encode(), token.encode())


class Sessions:
    """By the digest of a random id; the id itself is only in the browser."""

    def __init__(self) -> None:
        self._known: dict[str, Session] = {}

    def begin(self, name: str) -> tuple[str, Session]:
        """A new session with a new id: signing in never continues an old one."""
        self._sweep()
        identity = secrets.token_urlsafe(32)
        session = Session(name, now_ms(), now_ms())
        self._known[_digest(identity)] = session
        return identity, session

    def find(self, identity: str, *, touch: bool = True) -> Session | None:
        """The session of this id, unless it ended; `touch` keeps it from idling out."""
        session = self._known.get(_digest(identity))
        if session is None or not self._lives(session):
            return None
        if touch:
            session.seen_ms = now_ms()
        return session

    def end(self, identity: str) -> None:
        """Forget a session."""
        self._known.pop(_digest(identity), None)

    @staticmethod
    def _lives(session: Session) -> bool:
        now = now_ms()
        return now - session.seen_ms <= IDLE_MS and now - session.began_ms <= ABSOLUTE_MS

    def _sweep(self) -> None:
        for digest in [digest for digest, session in self._known.items() if not self._lives(session)]:
            del self._known[digest]
        while len(self._known) >= SESSIONS_MAX:
            del self._known[next(iter(self._known))]


class Brake:
    """Counts failures per key (a name, an address) in a sliding time."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[int]] = {}

    def holds(self, *keys: str) -> bool:
        """Whether one of the keys has failed too often of late."""
        return any(len(self._recent(key)) >= FAILURES_MAX for key in keys)

    def failed(self, *keys: str) -> None:
        """Count a failure."""
        for key in keys:
            self._recent(key).append(now_ms())

    def _recent(self, key: str) -> deque[int]:
        if len(self._failures) > 10_000:
            self._failures.clear()  # an attack on memory; scrypt is brake enough meanwhile
        times = self._failures.setdefault(key, deque())
        while times and now_ms() - times[0] > FAILURES_WINDOW_MS:
            times.popleft()
        return times


def _digest(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()
