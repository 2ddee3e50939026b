"""How the console changes what people decided: one audited step at a time, once however often a request is sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from broker.clock import now_ms
from broker.console.errors import ConsoleError
from broker.store.audit import Actor, deciding
from broker.store.decided import Session, kept_answer
from broker.store.engine import Engine, reading
from broker.store.governed import KeptAnswer
from broker.store.signing import Signer

KEY_LENGTH_MAX = 200


class KeyReusedError(ConsoleError):
    """The same Idempotency-Key came with another request."""

    code = "api.key_reused"
    status = 422
    remedy = "Use a new Idempotency-Key for a new request."


@dataclass(frozen=True, slots=True)
class Answer:
    """What a step is answered with."""

    document: dict[str, Any]
    status: int = 200
    revision: int | None = None

    @property
    def etag(self) -> str:
        """Of the row that was changed; "" where it has no revision to compare."""
        return "" if self.revision is None else f'"{self.revision}"'


@dataclass(frozen=True, slots=True)
class Once:
    """A request that may be sent again: its key, and what it asked."""

    key: str
    asked: str

    @property
    def sha256(self) -> str:
        """Of what it asked."""
        return hashlib.sha256(self.asked.encode()).hexdigest()


Do = Callable[[Session, Actor], Answer]


class Governing:
    """The database and the key that signs the audit."""

    def __init__(self, engine: Engine, signer: Signer) -> None:
        self._engine = engine
        self._signer = signer

    @contextmanager
    def looking(self) -> Iterator[Session]:
        """For reading."""
        with reading(self._engine) as connection, Session(connection) as session:
            yield session

    def step(self, by: str, via: str, action: str, do: Do, once: Once | None = None) -> Answer:
        """One audited step; its answer is that of the first time where the same request was sent before."""
        actor = Actor(by, via, now_ms())
        with deciding(self._engine, self._signer, actor, action) as session:
            if once is not None and (kept := kept_answer(session, by, once.key)) is not None:
                return _again(kept, once)
            found = do(session, actor)
            if once is not None:
                session.add(_kept(by, once, found, actor.now_ms))
            return found


def _again(kept: KeptAnswer, once: Once) -> Answer:
    if kept.asked_sha256 != once.sha256:
        msg = "This Idempotency-Key was sent with another request."
        raise KeyReusedError(msg)
    revision = int(kept.etag.strip('"')) if kept.etag else None
    return Answer(json.loads(kept.body), kept.status, revision)


def _kept(by: str, once: Once, found: Answer, at_ms: int) -> KeptAnswer:
    return KeptAnswer(
        by=by,
        key=once.key,
        asked_sha256=once.sha256,
        status=found.status,
        etag=found.etag,
        body=json.dumps(found.document),
        at_ms=at_ms,
    )
