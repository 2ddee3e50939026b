"""The patch of aiokafka: which failed requests end a producer, and that another aiokafka is noticed."""

from __future__ import annotations

from typing import Any

import aiokafka
import pytest
from aiokafka.errors import (
    IllegalOperation,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    ProducerFenced,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest

from broker.lane.end_txn import EndOnceProducer, EndUnknownError, _unlike_expected, _Watched

END = EndTxnRequest("gate-slot-1", 1, 0, True)


class Failing:
    """A client whose every request fails in one way."""

    def __init__(self, error: KafkaError) -> None:
        self._error = error

    async def send(self, *_: Any, **__: Any) -> Any:
        raise self._error


async def after(error: KafkaError, request: Any) -> TransactionManager:
    """The state of a transaction that is being committed, after a request of it failed."""
    transactions = TransactionManager("gate-slot-1", 15_000)
    transactions.set_pid_and_epoch(1, 0)
    transactions.begin_transaction()
    transactions.committing_transaction()
    with pytest.raises(type(error)):
        await _Watched(Failing(error), transactions).send(1, request)
    return transactions


@pytest.mark.parametrize("error", [RequestTimedOutError(), KafkaConnectionError("lost")])
async def test_an_end_without_an_answer_is_the_end_of_the_producer(error: KafkaError) -> None:
    """I3: nobody may go on as if it had been committed, or had not."""
    transactions = await after(error, END)
    assert transactions.needs_transaction_commit() is None, "nothing is sent again"
    with pytest.raises(EndUnknownError):
        await transactions.wait_for_transaction_end()


@pytest.mark.parametrize(
    ("error", "request_"),
    [
        (NodeNotReadyError("never left"), END),
        (RequestTimedOutError(), AddPartitionsToTxnRequest("gate-slot-1", 1, 0, [])),
    ],
)
async def test_what_is_certain_or_harmless_is_sent_again(error: KafkaError, request_: Any) -> None:
    assert (await after(error, request_)).needs_transaction_commit() is not None


async def started(monkeypatch: pytest.MonkeyPatch) -> EndOnceProducer:
    """A producer in a transaction, without a Kafka."""
    producer = EndOnceProducer(bootstrap_servers="127.0.0.1:1", transactional_id="gate-slot-1")

    async def known(_: str) -> set[int]:
        return {0}

    monkeypatch.setattr(producer.client, "_wait_on_metadata", known)
    monkeypatch.setattr(producer, "_partition", lambda *_: 0)
    producer._closed = True  # it was never started, there is nothing to close
    producer._txn_manager.set_pid_and_epoch(1, 0)
    await producer.begin_transaction()
    return producer


@pytest.mark.parametrize("error", [ProducerFenced(), TopicAuthorizationFailedError("ledger")])
async def test_what_broke_a_transaction_is_said_by_what_comes_next(
    error: KafkaError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client by itself says "not in a transaction", or fails an assertion: neither names a cause."""
    producer = await started(monkeypatch)
    transactions = producer._txn_manager
    broken = transactions.fatal_error if isinstance(error, ProducerFenced) else transactions.error_transaction
    broken(error)
    with pytest.raises(type(error)):
        await producer.send_batch(producer.create_batch(), "ledger", partition=0)
    with pytest.raises(type(error)):
        await producer.commit_transaction()


async def test_who_sends_outside_of_a_transaction_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = await started(monkeypatch)
    producer._txn_manager.committing_transaction()
    producer._txn_manager.complete_transaction()
    with pytest.raises(IllegalOperation):
        await producer.send_batch(producer.create_batch(), "ledger", partition=0)


def test_another_aiokafka_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _unlike_expected() == []
    monkeypatch.setattr(aiokafka, "__version__", "0.15.0")
    monkeypatch.setattr(TransactionManager, "fatal_error", TransactionManager.complete_transaction)
    assert _unlike_expected() == ["the version is 0.14", "TransactionManager.fatal_error"]
