"""One store per test, as the tests of the store have it."""

from __future__ import annotations

from tests.unit.store.conftest import store

__all__ = ["store"]
