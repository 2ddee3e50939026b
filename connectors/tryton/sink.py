"""Writes authoritative updates into parties: found by code, created and written in bulk, nobody's edit lost
unseen.

A party is written only if its content is what the source last published or this sink last wrote, and Tryton
itself compares the write dates once more (`_timestamp`). Anything else was edited by a person: the source is
nudged to publish it first, and the update is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from connectors.sdk.errors import ConnectorError
from connectors.sdk.feedback import Proposal, Refusal
from connectors.sdk.sink import Applied, Failed, Outcome, Retry, Skipped, Update
from connectors.tryton.faults import Reaction, TrytonFault
from connectors.tryton.ledger import PublishedLedger
from connectors.tryton.parties import Parties
from connectors.tryton.writes import PartyWrite, creation_of, write_of

Outcomes = dict[str, Outcome]


class TrytonSink:
    """The sink of one database."""

    def __init__(self, system: str, parties: Parties, ledger: PublishedLedger, nudge: asyncio.Event) -> None:
        self._system = system
        self._parties = parties
        self._ledger = ledger
        self._nudge = nudge

    async def open(self) -> None:
        await self._parties.open()

    async def apply(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        outcomes: Outcomes = {}
        page = self._parties.settings.page
        for start in range(0, len(updates), page):
            outcomes.update(await self._apply_page(updates[start : start + page]))
        return [outcomes[update.key] for update in updates]

    async def _apply_page(self, updates: Sequence[Update]) -> Outcomes:
        codes = [update.key for update in updates]
        images = await self._parties.by_codes(codes)
        published, written = self._ledger.published(codes), self._ledger.written(codes)
        outcomes: Outcomes = {}
        creations, writes = [], []
        for update in updates:
            image = images.get(update.key)
            if image is None:
                early = self._why_not_create(update)
                if early is None:
                    creations.append(creation_of(update, self._parties.mapping))
                else:
                    outcomes[update.key] = early
                continue
            write = write_of(update, image, self._parties.mapping)
            last = published.get(update.key)
            if write is None:
                outcomes[update.key] = Applied() if update.write else Skipped("already so")
            elif image.digest not in (last.digest if last else None, written.get(update.key)):
                outcomes[update.key] = self._unseen()
            else:
                writes.append(write)
        outcomes.update(await self._in_bulk(creations, self._create))
        outcomes.update(await self._in_bulk(writes, self._write))
        return outcomes

    def _why_not_create(self, update: Update) -> Outcome | None:
        if update.deleted:
            return Skipped("already gone")
        if not self._parties.mapping.create or not update.created or update.cause[0] == self._system:
            return Retry(
                "tryton.party_missing", "the party is not there and is not this connector's to create"
            )
        return None

    def _unseen(self) -> Retry:
        self._nudge.set()
        return Retry("tryton.unseen_edit", "the party was edited in Tryton; that edit is published first")

    # --- writing

    async def _in_bulk(
        self, writes: Sequence[PartyWrite], act: Callable[[Sequence[PartyWrite]], Awaitable[None]]
    ) -> Outcomes:
        """One call for all; when Tryton says no, halves, until the party that it means stands alone."""
        if not writes:
            return {}
        try:
            await act(writes)
        except TrytonFault as fault:
            if len(writes) > 1:
                middle = len(writes) // 2
                first = await self._in_bulk(writes[:middle], act)
                return first | await self._in_bulk(writes[middle:], act)
            return {writes[0].code: self._outcome(fault)}
        self._ledger.keep_written({write.code: write.digest for write in writes})
        return {write.code: Applied() for write in writes}

    def _outcome(self, fault: TrytonFault) -> Outcome:
        if fault.code == "tryton.ConcurrencyException":
            self._nudge.set()
        made: type[Retry | Failed] = Failed if fault.reaction is Reaction.FAIL else Retry
        return made(fault.code, fault.detail)

    async def _create(self, writes: Sequence[PartyWrite]) -> None:
        rows = [write.values for write in writes]
        await self._parties.client.call("model.party.party.create", rows, self._parties.context)

    async def _write(self, writes: Sequence[PartyWrite]) -> None:
        pairs: list[Any] = []
        timestamps: dict[str, str] = {}
        for write in writes:
            pairs += [[write.id], write.values]
            timestamps |= write.timestamps
        context: Mapping[str, Any] = {**self._parties.context, "_timestamp": timestamps}
        await self._parties.client.call("model.party.party.write", *pairs, context)

    # --- messages for people

    async def receive_refusal(self, refusal: Refusal) -> None:
        fields = f" ({', '.join(refusal.fields)})" if refusal.fields else ""
        await self._note(refusal.key, f"Not accepted{fields}: {refusal.sentence} [{refusal.case_id}]")

    async def receive_proposal(self, proposal: Proposal) -> None:
        lines = [f"{proposal.proposer} suggests [{proposal.proposal_id}]: {proposal.note}".strip()]
        lines += [f"{part.field}: {part.proposed} instead of {part.current}" for part in proposal.fields]
        await self._note(proposal.key, "\n".join(lines))

    async def _note(self, code: str, message: str) -> None:
        image = (await self._parties.by_codes([code])).get(code)
        if image is None:
            raise ConnectorError("Tryton: no party to leave a note on", code="tryton.party_missing")
        resource = f"party.party,{image.id}"
        call, context = self._parties.client.call, self._parties.context
        there = [["resource", "=", resource], ["message", "=", message]]
        if not await call("model.ir.note.search_count", there, context):
            await call("model.ir.note.create", [{"resource": resource, "message": message}], context)

    async def close(self) -> None:
        await self._parties.client.close()
