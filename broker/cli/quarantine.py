"""`solesource quarantine list | show | decide`: held writes from the command line, as the console has them."""

import asyncio
from typing import Annotated, Any

import typer
from rich.progress import track

from broker.agents.redrives import orders_of
from broker.agents.sender import KafkaSender
from broker.cli.output import AsJson, CommandRefused, show, table_of
from broker.clock import now_ms
from broker.console.decisions import decide, new_command_id
from broker.console.words import reason_words
from broker.gate.commands import ATTEMPTS_MAX
from broker.settings import Settings
from broker.store.cases import Case, CaseFilter, find_case, list_cases
from broker.store.engine import open_store, reading
from broker.store.trail import attempts_of, lines_of_case

app = typer.Typer(no_args_is_help=True, help="Writes that were held.")


@app.command("list")
def list_held(
    state: Annotated[
        str, typer.Option(help="open, asked, closed, undecided or empty for all.")
    ] = "undecided",
    system: Annotated[str, typer.Option(help="Only writes of this system.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List held writes, newest first."""
    with reading(open_store(Settings().store_url)) as connection:
        found = list_cases(connection, CaseFilter(state=state, system=system), limit=limit)
    rows = [_row(case) for case in found]
    columns = {
        "case": "Case",
        "record": "Record",
        "writer": "Writer",
        "fields": "Fields",
        "reason": "Reason",
        "state": "State",
    }
    show(rows, as_json=as_json, table=table_of(rows, columns, "Needs review"))


def _row(case: Case) -> dict[str, Any]:
    return {
        "case": case.case_id,
        "record": f"{case.object}/{case.key.decode(errors='replace')}",
        "writer": case.system,
        "fields": ", ".join(case.held_fields),
        "reason": case.reason,
        "state": str(case.state),
    }


def _case(case_id: str) -> tuple[Case, list[Any]]:
    with reading(open_store(Settings().store_url)) as connection:
        case = find_case(connection, case_id)
        lines = lines_of_case(connection, case_id)
    if case is None:
        msg = f"there is no case {case_id} [case.unknown] `solesource quarantine list` shows what there is."
        raise CommandRefused(msg)
    return case, lines


@app.command("show")
def show_case(case_id: str, as_json: AsJson = False) -> None:
    """Show a held write: what it tried, what is in force, why it was held."""
    case, lines = _case(case_id)
    rows = [
        {
            "field": v.field,
            "authoritative": v.authoritative,
            "attempted": v.attempted,
            "owner": v.owner,
            "verdict": v.verdict,
            "reason": v.reason,
        }
        for v in case.verdicts
    ]
    steps = [{"kind": line.kind, "by": line.by, "note": line.note, "result": line.result} for line in lines]
    if as_json:
        show(_row(case) | {"detail": case.detail, "verdicts": rows, "steps": steps}, as_json=True)
        return
    columns = {
        "field": "Field",
        "authoritative": "In force",
        "attempted": "Attempted",
        "owner": "Owner",
        "verdict": "Verdict",
    }
    show(
        rows, as_json=False, table=table_of(rows, columns, f"{_row(case)['record']} written by {case.system}")
    )
    words = reason_words(case.reason)
    show(
        {},
        as_json=False,
        text=f"{words.sentence} {case.detail}\nWhat to do: {words.what_to_do}\nState: {case.state}",
    )


@app.command("decide")
def decide_case(
    case_id: str,
    choice: Annotated[str, typer.Argument(help="keep or ask_owner.")],
    by: Annotated[str, typer.Option(help="Who decides.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: AsJson = False,
) -> None:
    """Decide a held write: keep the owner's value, or ask the owner."""
    settings = Settings()
    case, _ = _case(case_id)
    engine, sender = open_store(settings.store_url), KafkaSender(settings.access("console"))

    async def send() -> str:
        try:
            decision = await decide(
                engine, sender, case, choice=choice, by=by, note=note, command_id=new_command_id()
            )
        finally:
            await sender.close()
        return decision.command_id

    command = asyncio.run(send())
    show(
        {"command_id": command, "case": case_id},
        as_json=as_json,
        text=f"Sent: {choice} for {case_id}. It is done when the case says so.",
    )


@app.command("redrive")
def redrive_cases(
    case_ids: Annotated[
        list[str] | None, typer.Argument(help="Cases; none = those that the options choose.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who orders it.")] = "",
    note: Annotated[str, typer.Option(help="Why.")] = "",
    system: Annotated[str, typer.Option(help="Only writes of this system.")] = "",
    reason: Annotated[str, typer.Option(help="Only cases with this reason, such as not_owner.")] = "",
    as_json: AsJson = False,
) -> None:
    """Judge held writes again, with today's map and today's records, as their recorded writer's.

    Nothing newer is taken back: a write that was overtaken closes its case. Cut off, the command can be given again.
    """
    settings = Settings()
    if not by:
        raise CommandRefused("say who orders it [redrive.who] Give --by NAME.")
    if not case_ids and not (system or reason):
        raise CommandRefused("say which cases [redrive.which] Name cases, or give --system or --reason.")
    with reading(open_store(settings.store_url)) as connection:
        wanted = CaseFilter(state="undecided", system=system, reason=reason)
        found = (
            [_case(one)[0] for one in case_ids] if case_ids else list_cases(connection, wanted, limit=10_000)
        )
        tried = {case.case_id: attempts_of(connection, case.case_id) for case in found}
    orders = orders_of(found, tried, by=by, note=note, issued_ms=now_ms())
    sender = KafkaSender(settings.access("console"))

    async def send() -> None:
        try:
            for order in track(orders, "Judging again", transient=True, disable=as_json):
                await sender.send(*order)
        finally:
            await sender.close()

    asyncio.run(send())
    left = len(found) - len(orders)
    show(
        {"sent": len(orders), "left_out": left},
        as_json=as_json,
        text=f"{len(orders)} cases are judged again. {left} were left out: closed, kept by reference only, or "
        f"judged {ATTEMPTS_MAX} times already."
        if left
        else f"{len(orders)} cases are judged again.",
    )
