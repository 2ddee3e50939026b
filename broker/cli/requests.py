"""`solesource request ...`: a plan on its way into force."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.cli.governed import By, acting, looking
from broker.cli.output import AsJson, CommandRefused, show, table_of
from broker.cli.planning import as_approved, moment_ms, text_of
from broker.clock import now_ms
from broker.governance import requests, taking_force
from broker.governance.words import request_document, request_text
from broker.settings import Settings
from broker.store.decided import requests_page
from ownership.changed import moment

app = typer.Typer(no_args_is_help=True, help="Change requests: plans that their stewards approve.")
Request = Annotated[str, typer.Argument(metavar="REQUEST")]
PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="What `map plan --out` wrote.")]


@app.command()
def draft(
    plan: PlanFile,
    by: By,
    title: Annotated[str, typer.Option(help="In one line, what it is for.")],
    reason: Annotated[str, typer.Option(help="Why, for those who are asked.")],
    as_json: AsJson = False,
) -> None:
    """Begin a change request with a plan; nobody is asked yet."""
    with acting(by, "request.draft") as (session, actor):
        row = requests.draft(session, actor, text_of(plan), title, reason)
        session.flush()
        name = row.request_id
    show(
        {"request": name},
        as_json=as_json,
        text=f"{name} is a draft. Ask for approval: solesource request propose {name}",
    )


@app.command()
def revise(request: Request, plan: PlanFile, by: By) -> None:
    """Give a draft another plan; whoever had agreed is asked again."""
    with acting(by, "request.revise") as (session, actor):
        requests.revise(session, actor, requests.found(session, request), text_of(plan))
    _say(request)


@app.command()
def propose(request: Request, by: By) -> None:
    """Ask those who must agree."""
    with acting(by, "request.propose") as (session, actor):
        requests.propose(session, actor, requests.found(session, request))
    _say(request)


@app.command()
def approve(
    request: Request, by: By, note: Annotated[str, typer.Option(help="What you looked at.")] = ""
) -> None:
    """Agree to the plan as it stands, for the teams that you speak for."""
    with acting(by, "request.approve") as (session, actor):
        requests.approve(session, actor, requests.found(session, request), note)
    _say(request)


@app.command("return")
def send_back(
    request: Request, by: By, why: Annotated[str, typer.Option(help="What should be otherwise.")]
) -> None:
    """Give a request back to its requester, as an approver."""
    with acting(by, "request.return") as (session, actor):
        requests.send_back(session, actor, requests.found(session, request), why)
    _say(request)


@app.command()
def withdraw(request: Request, by: By) -> None:
    """Take a request back, as its requester."""
    with acting(by, "request.withdraw") as (session, actor):
        requests.withdraw(actor, requests.found(session, request))
    _say(request)


@app.command()
def remark(request: Request, text: str, by: By) -> None:
    """Say something about a request."""
    with acting(by, "request.remark") as (session, actor):
        requests.remark(session, actor, requests.found(session, request), text)
    _say(request)


@app.command()
def schedule(
    request: Request,
    at: Annotated[str, typer.Argument(help="A date, or a date and time; UTC where no zone is said.")],
    by: By,
) -> None:
    """Say when an approved request is to take force; `request apply --due` puts it in force then."""
    with acting(by, "request.schedule") as (session, actor):
        requests.schedule(session, actor, requests.found(session, request), moment_ms(at))
    _say(request)


@app.command()
def apply(
    by: By,
    request: Annotated[str | None, typer.Argument(metavar="REQUEST")] = None,
    due: Annotated[
        bool, typer.Option("--due", help="The scheduled request whose time has come, if any.")
    ] = False,
) -> None:
    """Put an approved request in force: rights first, then the map."""
    if (request is None) is not due:
        msg = "a request is named, or --due is said [request.which] Do one of the two."
        raise CommandRefused(msg)
    with looking() as session:
        name = request or next(iter(taking_force.due(session, now_ms())), None)
        if name is None:
            show(None, as_json=False, text="Nothing is due.")
            return
    as_approved(Settings(), name, by)
    _say(name)


@app.command("list")
def list_requests(
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """List change requests, the one that moved last first."""
    with looking() as session:
        rows: list[dict[str, Any]] = [
            {
                "request": row.request_id,
                "state": row.state,
                "since": moment(row.state_ms),
                "by": row.requester,
                "title": row.title,
            }
            for row in requests_page(session, state=state, before=None, limit=200)
        ]
    columns = {
        "request": "Request",
        "state": "State",
        "since": "Since",
        "by": "Asked by",
        "title": "What for",
    }
    show(rows, as_json=as_json, table=table_of(rows, columns, "Change requests"))


@app.command("show")
def show_request(request: Request, as_json: AsJson = False) -> None:
    """Say what a request changes, how far it reaches, who has agreed, and what is missing."""
    _say(request, as_json=as_json)


@app.command("plan")
def plan_of_request(request: Request) -> None:
    """Write the plan of a request, as it was put up."""
    with looking() as session:
        typer.echo(
            json.dumps(json.loads(requests.found(session, request).plan), indent=1, ensure_ascii=False)
        )


def _say(name: str, *, as_json: bool = False) -> None:
    with looking() as session:
        row = requests.found(session, name)
        document = request_document(session, row, now_ms())
    show(document, as_json=as_json, text=request_text(document))
