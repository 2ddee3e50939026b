"""A good record behind a thousand bad ones in a row: it waits for them, and not for long."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from schemas.codec import frame
from tests.estate import Estate, estate_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
ROUNDS, POISON = 3, 1_000
DELAY_MS_MAX = 1_000
"""Of the best round: another program on the machine may have a say in any of them."""
BAD = (
    b"",
    b"\x00",
    b"{}",
    frame(100),
    frame(100) + b"\x06P-0",
    frame(7) + b"\x06P-0",
    frame(100) + b"\xff" * 40,
)


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("poison"))


def poison(estate: Estate, number: int) -> None:
    kind = number % (len(BAD) + 3)
    if kind < len(BAD):
        estate.send("crm", "P-0", None, value=BAD[kind], wait=False)
    elif kind == len(BAD):
        estate.send("crm", "P-0", {"name": "x"}, headers=[("ce_id", b"x")], wait=False)
    elif kind == len(BAD) + 1:
        estate.send("crm", "P-0", {"name": "x"}, raw_key=b"\xff", wait=False)
    else:
        estate.send("crm", "P-0", None, wait=False)  # an upsert without a value


def test_a_good_record_behind_a_thousand_bad_ones(estate: Estate) -> None:
    estate.start_gate()
    estate.send("crm", "P-0", {"name": "first"})
    estate.settle(1)
    delays, sent = [], 1
    for turn in range(ROUNDS):
        for number in range(POISON):
            poison(estate, number)
        place = estate.send("crm", "P-0", {"name": f"good {turn}"})
        sent += POISON + 1
        account = estate.settle(sent)
        assert place is not None
        (asked,) = [m for m in estate.read(place[0]) if (m.partition(), m.offset()) == place[1:]]
        answer = [m for m in estate.read("authoritative.customer") if m.key() == b"P-0"][-1]
        delays.append(answer.timestamp()[1] - asked.timestamp()[1])
        time.sleep(1)
    assert min(delays) <= DELAY_MS_MAX, delays
    assert account["accepted"] == 1 + ROUNDS and account["received"] == sent
    held = account["unreadable"] + account["quarantined"]
    assert held == ROUNDS * POISON == len(estate.envelopes("quarantine"))
    assert estate.ledger_faults() == []
