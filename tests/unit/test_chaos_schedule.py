"""The faults of a campaign come from the seed and the length alone; a whole campaign has as many as it promises."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from broker.lane.disk import PATIENCE_S, WRITE_S
from tests.chaos.answers import ANSWERS
from tests.chaos.gate import POINTS
from tests.chaos.recorder import laws_of
from tests.chaos.schedule import BROKERS, WHOLE_S, schedule


def test_a_seed_is_a_schedule() -> None:
    assert schedule(7, 600) == schedule(7, 600)
    assert schedule(7, 600) != schedule(8, 600)


def test_a_whole_campaign_has_what_it_promises() -> None:
    for seed in range(20):
        faults = schedule(seed, WHOLE_S)
        count = Counter(fault.what for fault in faults)
        assert count["kill"] >= 60 and count["zombie"] >= 10 and count["rebalance"] >= 20
        assert count["broker_killed"] >= 10 and count["brokers_gone"] == count["retention"] == 1
        assert count["broker_hung"] >= 3 and count["disk_full"] >= 2
        assert {fault.how for fault in faults if fault.what == "answer"} == set(ANSWERS)
        assert count["handover"] >= 2 and count["map_change"] >= 2 and count["state_lost"] >= 1
        points = {fault.how for fault in faults if fault.what == "kill"}
        assert points == {"anywhere", *POINTS}
        for what in ("broker_killed", "broker_hung"):
            assert {fault.how for fault in faults if fault.what == what} == set(BROKERS)
        full = [fault.number for fault in faults if fault.what == "disk_full"]
        assert min(full) > WRITE_S + PATIENCE_S, "each slot wants to write in that time"
        assert all(fault.number > 6 for fault in faults if fault.what == "zombie"), "past the session"
        assert {fault.number for fault in faults if fault.what == "rebalance"} == {1, 2, 3, 4}
        assert all(0 < fault.at_s < WHOLE_S for fault in faults)


@pytest.mark.parametrize(("minutes", "gone_s"), [(3, 36), (10, 120), (25, 300), (60, 300)])
def test_all_brokers_are_gone_for_five_minutes_where_there_is_time(minutes: int, gone_s: int) -> None:
    (gone,) = [fault for fault in schedule(7, minutes * 60) if fault.what == "brokers_gone"]
    assert gone.number == gone_s


def test_every_rebalance_changes_something() -> None:
    told = [fault.number for fault in schedule(3, WHOLE_S) if fault.what == "rebalance"]
    assert all(former != latter for former, latter in pairwise(told))


def test_laws_are_read_from_the_text_of_a_map() -> None:
    """Handovers in the order of their moments, each on top of those before."""
    document = {
        "system_of_record": "crm",
        "create": "crm",
        "delete": {"authority": "crm"},
        "fields": {"phone": {"class": "pii"}, "limit": {"system_of_record": "erp"}},
        "handover": [
            {"field": "phone", "to": "crm", "valid_from": "1970-01-01T00:00:02+00:00"},
            {"field": "phone", "to": "erp", "valid_from": "1970-01-01T00:00:01+00:00"},
        ],
    }
    laws = list(laws_of(document, 3, ("name", "phone", "limit")))
    assert [(law["from_ms"], law["owners"]["phone"]) for law in laws] == [
        (0, "crm"),
        (1000, "erp"),
        (2000, "crm"),
    ]
    assert all(law["owners"]["limit"] == "erp" and law["owners"]["name"] == "crm" for law in laws)
    assert {(law["version"], law["create"], law["deletes"]) for law in laws} == {(3, "crm", "crm")}
