"""The recorded verdicts are those of the Java library. Needs javac; without it the test is skipped, loudly."""

from __future__ import annotations

import pytest

from tests import java
from tests.avro.java import recorded, verdicts

pytestmark = [
    pytest.mark.counterpart,
    pytest.mark.skipif(not java.available(), reason="ABSENT COUNTERPART: javac"),
]


def test_java_says_today_what_is_recorded() -> None:
    assert verdicts() == recorded(), "record it again: python -m tests.avro.java"
