"""Maps that change hands under load: every batch is judged by one of them, as the ledger says by which (section 7)."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker import topics
from broker.cli.root import app
from broker.kafka.estate import publish_map
from broker.kafka.reading import TopicReader
from schemas.registry import envelopes
from tests.estate import Estate, estate_of, map_documents

pytestmark = pytest.mark.integration
CHANGES, VERSIONS, KEYS = 6_000, 6, 40
EMAIL = (
    "credit_limit: {system_of_record: erp}",
    "credit_limit: {system_of_record: erp}\n  email: {system_of_record: erp}",
)


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    yield from estate_of(tmp_path)


def _flip(estate: Estate, done: threading.Event) -> int:
    """E-mail goes to the ERP and back, again and again."""
    texts, version = map_documents(), 1
    other = {**texts, "customer.yaml": texts["customer.yaml"].replace(*EMAIL)}
    for number in range(VERSIONS):
        if done.wait(2.5):
            break
        version = publish_map(estate.access("control"), [other, texts][number % 2], f"turn {number}")
    return version


def test_no_decision_is_made_by_two_maps(estate: Estate) -> None:
    estate.start_gate()
    done, newest = threading.Event(), [1]
    turning = threading.Thread(target=lambda: newest.append(_flip(estate, done)))
    turning.start()
    for number in range(CHANGES):
        # Addresses are few among the changes of both: a system most of whose changes are held is paused.
        mail = {"email": f"e{number}@example.com"} if number % 16 in (0, 7) else {}
        own = {"name": f"n{number}"} if number % 2 == 0 else {"credit_limit": Decimal(number)}
        given = ("crm", "erp")[number % 2], own | mail
        wait = number % 500 >= 498
        estate.send(given[0], f"C-{number % KEYS}", given[1], fields=["customer_id", *given[1]], wait=wait)
        time.sleep(0.0028)
    turning.join()
    done.set()
    estate.settle(CHANGES, 60)
    reader = TopicReader(estate.access("control"))
    try:
        batches = Counter(
            int(envelopes().codec.decode(message.value() or b"")["map_version"])
            for slot in reader.partitions(topics.LEDGER)
            for message in reader.read(topics.LEDGER, slot)
        )
    finally:
        reader.close()
    assert newest[-1] == VERSIONS + 1
    assert len(batches) >= VERSIONS - 2, batches
    verified = CliRunner().invoke(app, ["ledger", "verify", "--rejudge", "--json"], env=estate.environment())
    found = json.loads(verified.stdout)
    assert found["faults"] == [] and found["balanced"] and found["received"] == CHANGES
    # The load was such that maps mattered: some addresses were accepted, others held.
    assert found["account"]["accepted"] and found["account"]["partly_accepted"], found["account"]
