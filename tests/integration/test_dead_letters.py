"""Held writes under the names that Kafka Connect gives to dead letters: those of the real Connect."""

from __future__ import annotations

import zipfile

import pytest

from broker.embedded.errors import EmbeddedError
from broker.gate.outgoing import Destination
from tests import kafka_connect
from tests.gate_parts import Bench

pytestmark = [pytest.mark.integration, pytest.mark.counterpart]

REPORTER = "org/apache/kafka/connect/runtime/errors/DeadLetterQueueReporter.class"


def test_every_name_is_one_of_kafka_connects() -> None:
    try:
        (jar,) = [path for path in kafka_connect.fetched() if path.name.startswith("connect-runtime-")]
    except EmbeddedError as error:
        pytest.skip(f"ABSENT COUNTERPART: Kafka Connect cannot be fetched: {type(error).__name__}")
    with zipfile.ZipFile(jar) as files:
        constants = files.read(REPORTER)
    bench = Bench()
    bench.see(bench.upsert("crm", "seq:0:1", {"customer_id": "C-1", "name": "Ada"}))
    seen = bench.see(bench.upsert("erp", "x", {"name": "Eve"}, fields=["name"]))
    (case,) = [sent for sent, _ in seen.judged.outgoing if sent.destination is Destination.QUARANTINE]
    assert len(case.headers) == 6
    for name, _ in case.headers:
        assert name.encode() in constants
    assert b"__connect.errors.nothing" not in constants
