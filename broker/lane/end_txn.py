"""A producer that asks once for the end of a transaction, and gives up if no answer comes. The first patch of aiokafka;
the second is `broker/kafka/unpacking.py`.

The hazard: a torn transaction. EndTxn(COMMIT) of transaction n is delayed in the network. The client's time runs out,
aiokafka connects anew and sends it again by itself; that one succeeds, and the client begins n+1. Now the first request
arrives. aiokafka speaks EndTxn v0, which names the producer and its epoch and not the transaction, and with v0 to v4
the epoch stays the same from one transaction to the next (only v5, KIP-890, raises it each time). To the coordinator
the late request is a valid wish to commit what is open, and that is half of n+1: readers see it, and a crash leaves it
so, outputs without their ledger record. The client never hears of it: asked to commit a transaction that is complete,
the coordinator says yes. The test of this module sees it happen with aiokafka as it is.

The rule (I3): an EndTxn that was sent and not answered ends its producer. `commit_transaction()` raises; whoever called
it drops the producer, forgets everything since the last commit, and starts another of the same name. That raises the
epoch, so a late EndTxn is refused from then on, and the log tells whether transaction n was committed.

An answer, whatever it says, is the end of that request: nothing of it is still under way. So aiokafka may go on sending
again after "transactions concurrent", "coordinator loading", "not coordinator", and after a request that never left.
Requests other than EndTxn may be sent again too. The broker knows a Produce by its sequence numbers. A partition that
is added late opens at worst an empty transaction, which Kafka ends, and with it this producer's epoch. InitProducerId
only ever fences.
"""

from __future__ import annotations

import inspect
from typing import Any

import aiokafka
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import IllegalOperation, KafkaError, NodeNotReadyError
from aiokafka.producer.sender import BaseHandler, EndTxnHandler, Sender
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.transaction import EndTxnRequest


class EndUnknownError(KafkaError):
    """Nobody knows whether this transaction was committed: only the log can tell."""


class EndOnceProducer(AIOKafkaProducer):
    """aiokafka's producer; the end of a transaction that is not answered raises EndUnknownError and ends it.

    What breaks a transaction while its batches are handed over is raised by the next step, whichever that is.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._sender.client = _Watched(self.client, self._txn_manager)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
        try:
            return await super().send_batch(batch, topic, partition=partition)
        except IllegalOperation as error:  # it is in no transaction any more: the sender has ended it
            raise self._broken_by() or error from error

    async def commit_transaction(self) -> None:
        if (error := self._broken_by()) is not None:
            raise error
        await super().commit_transaction()

    def _broken_by(self) -> BaseException | None:
        ended = self._txn_manager.wait_for_transaction_end()
        return ended.exception() if ended is not None and ended.done() else None


class _Watched:
    """What the sender takes for its client: sends, and notes an EndTxn without an answer."""

    def __init__(self, client: AIOKafkaClient, transactions: TransactionManager) -> None:
        self._client = client
        self._transactions = transactions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        try:
            return await self._client.send(node_id, request, group=group)
        except KafkaError as error:
            never_left = isinstance(error, NodeNotReadyError)
            if isinstance(request, EndTxnRequest) and not never_left:
                # I3: the sender sends nothing more for a transaction in this state.
                self._transactions.fatal_error(EndUnknownError(f"EndTxn was not answered: {error!r}"))
            raise


def _unlike_expected() -> list[str]:
    """What of aiokafka is not as this module takes it to be."""
    expected = {
        "the version is 0.14": aiokafka.__version__.startswith("0.14."),
        "AIOKafkaClient.send": list(inspect.signature(AIOKafkaClient.send).parameters)
        == ["self", "node_id", "request", "group"],
        "requests go through the sender's client": {"_sender", "client", "send"}
        <= set(BaseHandler.do.__code__.co_names),
        "EndTxn is sent as the others": EndTxnHandler.do is BaseHandler.do,
        "EndTxn is a request of its own": "EndTxnRequest" in EndTxnHandler.create_request.__code__.co_names,
        "a transaction is ended when its state asks for it": "needs_transaction_commit"
        in Sender._maybe_do_transactional_request.__code__.co_names,  # noqa: SLF001 - what is looked at
        "TransactionManager.fatal_error": list(inspect.signature(TransactionManager.fatal_error).parameters)
        == ["self", "exc"],
    }
    return [what for what, holds in expected.items() if not holds]


if _unlike := _unlike_expected():
    raise ImportError(
        f"aiokafka {aiokafka.__version__} is not as {__name__} knows it: {'; '.join(_unlike)}. "
        "Read there which hazard it holds off, and adapt it, before another aiokafka is used."
    )
