"""A store with a map in force, on both databases, and the audit's key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from broker.store.audit import Actor, deciding
from broker.store.engine import Engine
from broker.store.signing import Signer, read_signer
from tests.governed_map import T0, in_force
from tests.unit.store.conftest import store

__all__ = ["store"]
Acting = Callable[..., AbstractContextManager[tuple[Session, Actor]]]


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return read_signer(tmp_path / "key.pem", tmp_path / "anchors.jsonl")


@pytest.fixture
def acting(store: Engine, signer: Signer) -> Acting:
    """One audited step of a person, at T0 or at another time."""
    in_force(store)

    @contextmanager
    def step(by: str, at_ms: int = T0) -> Iterator[tuple[Session, Actor]]:
        actor = Actor(by, "cli", at_ms)
        with deciding(store, signer, actor, "test") as session:
            yield session, actor

    return step
