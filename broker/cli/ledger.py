"""`solesource ledger verify`: does the open account balance, and does every batch follow from the one before."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from broker import topics
from broker.cli.output import DIFFERENCES, AsJson, show, table_of
from broker.cli.rejudging import rejudged
from broker.kafka.reading import TopicReader
from broker.lane.ledger import LedgerFault, cut_off
from broker.lane.ledger import verify as verify_slot
from broker.lane.written import Last, in_all, written
from broker.rules import rules_of
from broker.settings import Settings
from schemas.registry import envelopes

app = typer.Typer(no_args_is_help=True, help="The gate's ledger.")


def verified(settings: Settings) -> dict[str, Any]:
    """What the ledger says: account, batches per slot, faults."""
    reader, codec = TopicReader(settings.access("control")), envelopes().codec
    account: dict[str, int] = {}
    by_slot, total, accounted = Counter[int](), 0, 0
    for generations in last_revisions(reader, settings):
        by_slot += written(generations)
        total += in_all(generations)
    slots: dict[int, int] = {}
    received, faults = 0, []
    try:
        for slot in reader.partitions(topics.LEDGER):
            records = [codec.decode(message.value()) for message in reader.read(topics.LEDGER, slot)]
            end = cut_off(slot, records, by_slot[slot])
            faults += [asdict(fault) for fault in (*verify_slot(records), *([end] if end else []))]
            if records:
                slots[slot] = len(records)
            for record in records:
                received += record["received"]
                accounted += record["revisions"]
                for outcome, count in record["account"].items():
                    account[outcome] = account.get(outcome, 0) + count
    finally:
        reader.close()
    if total > accounted and not faults:
        detail = f"records are missing: {total} revisions are in the log, {accounted} are accounted for"
        faults.append(asdict(LedgerFault(-1, 0, detail)))
    return {
        "received": received,
        "account": account,
        "balanced": received == sum(account.values()),
        "batches": slots,
        "faults": faults,
    }


def last_revisions(reader: TopicReader, settings: Settings) -> Iterator[list[Last | None]]:
    """Of each object, generation by generation: the last revision of every record, and the slot that it belongs to."""
    existing = reader.topics()
    for entry in rules_of(settings.map_documents(), 0).ownership_map.objects.values():
        generations: list[Last | None] = []
        for number in range(1, entry.generation + 1):
            stream = topics.stream_of(entry.name, number)
            there = topics.authoritative(stream) in existing
            generations.append(_last(reader, stream, settings.slots) if there else None)
        yield generations


def _last(reader: TopicReader, stream: str, slots: int) -> Last:
    found: dict[bytes, tuple[int, int]] = {}
    for message in reader.read(topics.authoritative(stream)):
        headers: Any = dict(message.headers() or ())
        slot = topics.slot_of(stream, message.partition() or 0, slots)
        found[message.key() or b""] = slot, int(headers["ce_revision"])
    return found


@app.command()
def verify(
    rejudge: Annotated[
        bool, typer.Option("--rejudge", help="Also judge every change in the log again and compare.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read the whole ledger and check it; exit status 2 when something does not hold."""
    found = verified(Settings())
    if rejudge:
        again = [asdict(fault) for fault in rejudged(Settings(), quiet=as_json)]
        found |= {"rejudged": True, "faults": found["faults"] + again}
    rows = [{"outcome": outcome, "changes": count} for outcome, count in sorted(found["account"].items())]
    show(
        found,
        as_json=as_json,
        table=table_of(rows, {"outcome": "Outcome", "changes": "Changes"}, "The open account"),
    )
    if not as_json:
        words = (
            "every batch follows from the one before"
            + (", and judged again, every decision comes out the same" if rejudge else "")
            if not found["faults"]
            else f"{len(found['faults'])} faults"
        )
        balance = "balances" if found["balanced"] else "DOES NOT BALANCE"
        show({}, as_json=False, text=f"{found['received']} changes in; the account {balance}; {words}.")
        for fault in found["faults"]:
            where = "all slots" if fault["slot"] < 0 else f"slot {fault['slot']}, batch {fault['sequence']}"
            show({}, as_json=False, text=f"{where}: {fault['detail']}")
    if found["faults"] or not found["balanced"]:
        raise typer.Exit(DIFFERENCES)
