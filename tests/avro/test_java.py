"""The recorded verdicts are those of the Java library. Needs javac; without it the test is skipped, loudly."""

from __future__ import annotations

import pytest

from tests import java
from tests.avro.java import AVRO, recorded, verdicts

pytestmark = [
    pytest.mark.counterpart,
    pytest.mark.skipif(not java.available(), reason="ABSENT COUNTERPART: javac"),
]


def test_java_says_today_what_is_recorded() -> None:
    try:
        java.jars(AVRO)
    except Exception as error:  # noqa: BLE001 - whatever its fetching meets: no network, no mirror
        pytest.skip(f"ABSENT COUNTERPART: Avro's jars cannot be fetched: {error!r:.200}")
    assert verdicts() == recorded(), "record it again: python -m tests.avro.java"
