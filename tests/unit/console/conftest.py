"""A desk for every test of the console."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.cli import conversation
from tests.console_served import Branch, Impostor, branch_in
from tests.unit.console.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture
def branch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Branch]:
    monkeypatch.setattr(conversation, "PAUSES_S", (0.0, 0.0, 0.0))
    with branch_in(tmp_path / "branch") as running:
        yield running


@pytest.fixture
def impostor() -> Iterator[Impostor]:
    made = Impostor()
    yield made
    made.close()
