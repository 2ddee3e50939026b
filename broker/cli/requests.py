"""`solesource request ...`: a plan on its way into force."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.cli.governed import By, ByOrToken, looking
from broker.cli.governing import OnDatabase, governing
from broker.cli.moments import moment_ms
from broker.cli.output import AsJson, CommandRefused, show, table_of
from broker.cli.planning import as_approved, text_of
from broker.clock import now_ms
from broker.governance import taking_force
from broker.governance.words import request_text
from broker.settings import Settings
from ownership.lifecycle import State

LISTED_MAX = 200
app = typer.Typer(no_args_is_help=True, help="Change requests: plans that their stewards approve.")
Request = Annotated[str, typer.Argument(metavar="REQUEST")]
PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="What `map plan --out` wrote.")]


@app.command()
def draft(
    plan: PlanFile,
    title: Annotated[str, typer.Option(help="In one line, what it is for.")],
    reason: Annotated[str, typer.Option(help="Why, for those who are asked.")],
    by: ByOrToken = None,
    as_json: AsJson = False,
) -> None:
    """Begin a change request with a plan; nobody is asked yet."""
    with governing(by) as way:
        document = way.draft(text_of(plan), title, reason)
    name = document["request"]
    text = f"{name} is a draft. Ask for approval: solesource request propose {name}"
    show(document, as_json=as_json, text=text)


@app.command()
def revise(request: Request, plan: PlanFile, by: ByOrToken = None) -> None:
    """Give a draft another plan; whoever had agreed is asked again."""
    with governing(by) as way:
        _say(way.revise(request, text_of(plan)))


@app.command()
def propose(request: Request, by: ByOrToken = None) -> None:
    """Ask those who must agree."""
    with governing(by) as way:
        _say(way.propose(request))


@app.command()
def approve(
    request: Request,
    by: ByOrToken = None,
    note: Annotated[str, typer.Option(help="What you looked at.")] = "",
) -> None:
    """Agree to the plan as it stands, for the teams that you speak for."""
    with governing(by) as way:
        _say(way.approve(request, note))


@app.command("return")
def send_back(
    request: Request,
    why: Annotated[str, typer.Option(help="What should be otherwise.")],
    by: ByOrToken = None,
) -> None:
    """Give a request back to its requester, as an approver."""
    with governing(by) as way:
        _say(way.send_back(request, why))


@app.command()
def withdraw(request: Request, by: ByOrToken = None) -> None:
    """Take a request back, as its requester."""
    with governing(by) as way:
        _say(way.withdraw(request))


@app.command()
def remark(request: Request, text: str, by: ByOrToken = None) -> None:
    """Say something about a request."""
    with governing(by) as way:
        _say(way.remark(request, text))


@app.command()
def schedule(
    request: Request,
    at: Annotated[str, typer.Argument(help="A date, or a date and time; UTC where no zone is said.")],
    by: ByOrToken = None,
) -> None:
    """Say when an approved request is to take force; `request apply --due` puts it in force then."""
    with governing(by) as way:
        _say(way.schedule(request, moment_ms(at)))


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
    # On the database: it is there, and a console that is away would seem to have kept it from taking force.
    _say(OnDatabase(by).request(name))


@app.command("list")
def list_requests(
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """List change requests, the one that moved last first."""
    with governing() as way:
        rows = way.requests(state.value if state is not None else None, LISTED_MAX)
    columns = {
        "request": "Request",
        "state": "State",
        "since": "Since",
        "requester": "Asked by",
        "title": "What for",
    }
    show(rows, as_json=as_json, table=table_of(rows, columns, "Change requests"))


@app.command("show")
def show_request(request: Request, as_json: AsJson = False) -> None:
    """Say what a request changes, how far it reaches, who has agreed, and what is missing."""
    with governing() as way:
        _say(way.request(request), as_json=as_json)


@app.command("plan")
def plan_of_request(request: Request) -> None:
    """Write the plan of a request, as it was put up."""
    with governing() as way:
        typer.echo(json.dumps(way.plan(request), indent=1, ensure_ascii=False))


def _say(document: dict[str, Any], *, as_json: bool = False) -> None:
    show(document, as_json=as_json, text=request_text(document))
