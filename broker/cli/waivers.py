"""`solesource waiver | review | proof ...`: what somebody answers for, what was reviewed, and what was found out."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.cli.governed import By, ByOrToken, acting, looking
from broker.cli.governing import governing
from broker.cli.moments import moment_ms
from broker.cli.output import AsJson, CommandRefused, show, table_of
from broker.clock import day_of, now_ms
from broker.governance import evidence, reviewing
from broker.governance.packing import pack_of
from broker.pack.html import pack_html
from broker.pack.pdf import pack_pdf
from broker.store.decided import proofs
from ownership.changed import moment

QUARTER_MS = 92 * 86_400_000
waiver = typer.Typer(no_args_is_help=True, help="What somebody answers for, although it is missing.")
review = typer.Typer(no_args_is_help=True, help="The quarterly review of the map.")
proof = typer.Typer(no_args_is_help=True, help="What was found out about connectors.")


@waiver.command("add")
def add_waiver(
    code: Annotated[
        str, typer.Argument(help="What is missing, such as live.no_certificate or map.no_promise.")
    ],
    subject: Annotated[str, typer.Argument(help="An object, or a connection: 'customer crm -> erp'.")],
    reason: Annotated[str, typer.Option(help="Why it may be missing.")],
    until: Annotated[str, typer.Option(help="When it ends; 100 days from now at most.")],
    by: ByOrToken = None,
) -> None:
    """Answer for something that is missing, as the steward of the object."""
    with governing(by) as way:
        made = way.waive(code, subject, reason, moment_ms(until))
    show(None, as_json=False, text=f"{made['waiver']}: {code} is waived for {subject}.")


@waiver.command("end")
def end_waiver(waiver_id: Annotated[str, typer.Argument(metavar="WAIVER")], by: ByOrToken = None) -> None:
    """Take a waiver back before it ends by itself."""
    with governing(by) as way:
        way.end_waiver(waiver_id)
    show(None, as_json=False, text=f"{waiver_id} has ended.")


@waiver.command("list")
def list_waivers(as_json: AsJson = False) -> None:
    """List the waivers that count now, the one that ends first first."""
    with governing() as way:
        rows = way.waivers()
    columns = {
        "waiver": "Waiver",
        "code": "What",
        "subject": "Of what",
        "owner": "Who answers",
        "ends": "Ends",
    }
    columns["reason"] = "Why"
    show(rows, as_json=as_json, table=table_of(rows, columns, "Waivers"))


@review.command("list")
def list_reviews(as_json: AsJson = False) -> None:
    """List the next review of each object, the most urgent first."""
    with governing() as way:
        rows = way.reviews()
    shown = [row | {"last": row["last"] or "never"} for row in rows]
    columns = {"object": "Object", "standing": "Standing", "due": "Due", "last": "Last", "team": "Steward"}
    show(rows, as_json=as_json, table=table_of(shown, columns, "Reviews of the ownership map"))


@review.command("sign-off")
def sign_off(
    object_name: Annotated[str, typer.Argument(metavar="OBJECT")],
    by: ByOrToken = None,
    note: Annotated[str, typer.Option(help="What was found.")] = "",
    pack: Annotated[Path | None, typer.Option(help="The review pack that was looked at.")] = None,
) -> None:
    """Say that an object's part of the map was reviewed, as its steward."""
    digest = reviewing.pack_digest(_bytes_of(pack)) if pack is not None else ""
    with governing(by) as way:
        way.sign_off(object_name, note, digest)
    show(None, as_json=False, text=f"{object_name} is reviewed.")


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror} [review.pack] Make one with `solesource review pack`."
        raise CommandRefused(msg) from error


@review.command("pack")
def write_pack(
    team: Annotated[str, typer.Argument(help="The steward's team, as the map names it.")],
    out: Annotated[Path, typer.Option(help="Folder for the HTML and the PDF.")] = Path(),
    since: Annotated[str | None, typer.Option("--from", help="First day; else 92 days before --to.")] = None,
    to: Annotated[str | None, typer.Option(help="The moment at which it ends; else now.")] = None,
) -> None:
    """Write a team's review pack for its meeting: changes, conflicts, waivers, orphans, promises against measures."""
    made_ms = now_ms()
    to_ms = moment_ms(to) if to is not None else made_ms
    from_ms = moment_ms(since) if since is not None else to_ms - QUARTER_MS
    with looking() as session:
        made = pack_of(session, team, from_ms, to_ms, made_ms)
    out.mkdir(parents=True, exist_ok=True)
    named = "-".join(re.findall(r"[a-z0-9]+", team.lower())) or "team"
    pages = {"html": pack_html(made).encode(), "pdf": pack_pdf(made)}
    lines = []
    for ending, content in pages.items():
        place = out / f"review-{named}-{day_of(to_ms)}.{ending}"
        place.write_bytes(content)
        lines.append(f"{place}  {reviewing.pack_digest(content)}")
    show(None, as_json=False, text="\n".join(lines))


@review.command("remind")
def remind(by: By) -> None:
    """Tell people of reviews that are due and of cases that wait too long, each once; control does it every hour."""
    with acting(by, "review.remind") as (session, actor):
        told = reviewing.remind(session, actor) + reviewing.remind_of_cases(session, actor)
    show(None, as_json=False, text=f"{told} notices were left.")


@proof.command("conformance")
def add_proof(
    system: str,
    by: By,
    reference: Annotated[str, typer.Option(help="Where the result of the conformance kit is kept.")],
    failed: Annotated[bool, typer.Option("--failed", help="It did not pass.")] = False,
    days: Annotated[int, typer.Option(min=1, max=400, help="How long it counts.")] = 100,
) -> None:
    """Record that a system's connector was put through the conformance kit."""
    with acting(by, "proof.conformance") as (session, actor):
        evidence.prove(
            session, actor, evidence.CONFORMANCE, system, passed=not failed, reference=reference, days=days
        )
    show(None, as_json=False, text=f"The connector of {system} has {'failed' if failed else 'passed'}.")


@proof.command("list")
def list_proofs(as_json: AsJson = False) -> None:
    """List what was found out about connectors and connections."""
    with looking() as session:
        rows: list[dict[str, Any]] = [
            {
                "subject": row.subject,
                "kind": row.kind,
                "result": "passed" if row.passed else "failed",
                "at": moment(row.at_ms),
                "until": moment(row.expires_ms),
                "reference": row.reference,
            }
            for row in proofs(session)
        ]
    columns = {
        "subject": "Of what",
        "kind": "What",
        "result": "Result",
        "at": "When",
        "until": "Counts until",
    }
    show(rows, as_json=as_json, table=table_of(rows, columns, "Proofs"))
