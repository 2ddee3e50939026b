"""`solesource ledger verify`: does the open account balance, and does every batch follow from the one before."""

from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any

import typer

from broker import topics
from broker.cli.output import DIFFERENCES, AsJson, show, table_of
from broker.cli.rejudging import rejudged
from broker.kafka.reading import TopicReader
from broker.lane.ledger import cut_off
from broker.lane.ledger import verify as verify_slot
from broker.rules import rules_of
from broker.settings import Settings
from schemas.registry import envelopes

app = typer.Typer(no_args_is_help=True, help="The gate's ledger.")


def verified(settings: Settings) -> dict[str, Any]:
    """What the ledger says: account, batches per slot, faults."""
    reader, codec = TopicReader(settings.access("control")), envelopes().codec
    account: dict[str, int] = {}
    written = revisions_by_slot(reader, settings)
    slots: dict[int, int] = {}
    received, faults = 0, []
    try:
        for slot in reader.partitions(topics.LEDGER):
            records = [codec.decode(message.value()) for message in reader.read(topics.LEDGER, slot)]
            end = cut_off(slot, records, written.get(slot, 0))
            faults += [asdict(fault) for fault in (*verify_slot(records), *([end] if end else []))]
            if records:
                slots[slot] = len(records)
            for record in records:
                received += record["received"]
                for outcome, count in record["account"].items():
                    account[outcome] = account.get(outcome, 0) + count
    finally:
        reader.close()
    return {
        "received": received,
        "account": account,
        "balanced": received == sum(account.values()),
        "batches": slots,
        "faults": faults,
    }


def revisions_by_slot(reader: TopicReader, settings: Settings) -> dict[int, int]:
    """How many revisions were ever written per slot: the sum of every record's last one."""
    found: Counter[int] = Counter()
    for name in rules_of(settings.map_documents(), 0).ownership_map.objects:
        last: dict[bytes, tuple[int, int]] = {}
        for message in reader.read(topics.authoritative(name)):
            headers: Any = dict(message.headers() or ())
            place = topics.slot_of(name, message.partition() or 0, settings.slots)
            last[message.key() or b""] = place, int(headers["ce_revision"])
        for slot, revision in last.values():
            found[slot] += revision
    return dict(found)


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
            show(
                {}, as_json=False, text=f"slot {fault['slot']}, batch {fault['sequence']}: {fault['detail']}"
            )
    if found["faults"] or not found["balanced"]:
        raise typer.Exit(DIFFERENCES)
