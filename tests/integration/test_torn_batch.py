"""Kafka commits a part of a batch and takes back the rest: the next worker makes it whole. I1, I2, I3, I4."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from schemas.keys import partition_of
from tests.estate import PARTITIONS, Estate, estate_of
from tests.tearing import ADMIN_PASSWORD, STATUS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
OUTPUTS = ("authoritative.customer", "state.customer", "quarantine", "refusals.erp", "trail", "ledger")
KEPT = (
    "ledger",
    "authoritative.customer",
    "state.customer|quarantine",
    r"(?!ledger$).*",
    r"(?!authoritative\.customer$).*",
    r"(?!trail$).*",
)


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("torn"))


def keys_of(partition: int) -> Iterator[str]:
    return (
        key
        for number in range(1000)
        if partition_of((key := f"T-{number}").encode(), PARTITIONS) == partition
    )


KEYS = keys_of(0)


def counts(estate: Estate) -> dict[str, int]:
    return {topic: len(estate.read(topic)) for topic in OUTPUTS}


def stop(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    assert worker.wait(30) == 0


def changes(estate: Estate, key: str) -> int:
    """One batch: an accepted change, one that is held, and a write to a field of one's own; how many."""
    estate.send("crm", key, {"name": "A", "phone": "+1"}, wait=False)
    estate.send("crm", key, {"name": "B", "phone": "+1"}, wait=False)
    estate.producer("crm").flush(30)
    estate.send(
        "erp",
        key,
        {"name": "by erp", "credit_limit": Decimal(5)},
        fields=["name", "credit_limit"],
        wait=False,
    )
    estate.producer("erp").flush(30)
    return 3


def moved(estate: Estate, key: str, keeps: str) -> dict[str, int]:
    """What came of a batch of changes, its first worker being gone with it torn so, and of one more; "" = not torn."""
    before, received = counts(estate), estate.account()["received"]
    received += changes(estate, key)
    if keeps:
        password = estate.kafka.credentials("admin")
        broken = f"from tests.tearing import tear; tear('gate-slot-.*', {keeps!r})"
        assert estate.start_gate(broken, **{ADMIN_PASSWORD: password}).wait(60) == STATUS
        torn = counts(estate)
        kept = {topic for topic in OUTPUTS if torn[topic] > before[topic]}
        assert kept and kept != {*OUTPUTS}, "the hazard: a part of it is there"
    worker = estate.start_gate()
    estate.send("crm", key, {"name": "C", "phone": "+1"})
    estate.settle(received + 1)
    stop(worker)
    after = counts(estate)
    revisions = estate.revisions(key)
    assert revisions == list(range(1, len(revisions) + 1)), "none is missing, none is there twice"
    # In how many batches it is judged is up to what is fetched together.
    return {topic: after[topic] - before[topic] for topic in OUTPUTS if topic != "ledger"}


@pytest.fixture(scope="module")
def whole(estate: Estate) -> dict[str, int]:
    """What comes of the batch when nothing is torn."""
    found = moved(estate, next(KEYS), "")
    assert all(found.values()), found
    return found


@pytest.mark.parametrize("keeps", KEPT)
def test_a_batch_of_which_a_part_was_committed_is_made_whole(
    estate: Estate, whole: dict[str, int], keeps: str
) -> None:
    done = len(estate.events("slot.batch_completed"))
    assert moved(estate, next(KEYS), keeps) == whole
    assert len(estate.events("slot.batch_completed")) == done + 1
    assert estate.ledger_faults() == []


def test_all_of_it_comes_out_the_same_when_it_is_judged_again(estate: Estate, whole: dict[str, int]) -> None:
    assert whole
    words = [sys.executable, "-m", "broker.cli", "ledger", "verify", "--rejudge", "--json"]
    ran = subprocess.run(words, env=estate.environment(), capture_output=True, text=True, check=False)
    said: Any = json.loads(ran.stdout)
    assert said["faults"] == [], ran.stderr
