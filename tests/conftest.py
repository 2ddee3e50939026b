"""Fixtures that every test may ask for: the real servers, one of each per session, started on first use.

What a single test needs to know about its own topics, users and tables lives beside that test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.embedded.kafka import EmbeddedKafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A secured Kafka on a free port: `.bootstrap`, `.credentials(user)`, `.client_settings(user)`, `.admin()`."""
    with EmbeddedKafka(_short(tmp_path_factory, "kafka")) as running:
        yield running


def _short(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    return tmp_path_factory.mktemp(name)
