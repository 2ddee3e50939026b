"""Forms of the map's small languages: durations, percentages, connections."""

from __future__ import annotations

from typing import Any

import pytest

from ownership.document import connection, duration_ms, percentage


@pytest.mark.parametrize(
    ("text", "ms"),
    [("250ms", 250), ("5s", 5_000), ("15m", 900_000), ("2h", 7_200_000), ("30d", 2_592_000_000), ("0s", 0)],
)
def test_a_duration(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "s", "5", 5, None, "-5s", "1.5h", "5 s", "5S", "\u0665s", "5w"])
def test_not_a_duration(text: Any) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        duration_ms(text)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0%", 0), ("100%", 1), ("0.5%", 0.005)])
def test_a_percentage(text: str, share: float) -> None:
    assert percentage(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "1", 0.01, None, "101%", "-1%", "nan%", "x%"])
def test_not_a_percentage(text: Any) -> None:
    with pytest.raises(ValueError, match=r"a percentage is|could not convert"):
        percentage(text)


def test_a_connection() -> None:
    assert connection("crm -> erp") == connection("crm->erp") == ("crm", "erp")


@pytest.mark.parametrize("text", ["", "crm", "-> erp", "crm ->", "a -> b -> c", None])
def test_not_a_connection(text: Any) -> None:
    with pytest.raises(ValueError, match="a connection is"):
        connection(text)
