"""`solesource backfill`: every record of an object read again from its system, as a bar, as lines, or as JSON.

The connector's side does the work in a process of its own (`connectors.sdk.backfill_command`) and tells its steps;
this module only starts it and shows them.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from broker.cli.output import DIFFERENCES, AsJson, CommandRefused, show

LINES_MAX = 20
"""Lines of progress where there is no terminal to draw a bar on: about one for each twentieth."""
RECORDS_PER_LINE = 10_000
"""One line for so many records where nobody knows how many there are."""


class BackfillRefused(CommandRefused):
    """The connector's side could not do it; its own code, words and remedy are passed on."""

    code = "backfill.refused"


def backfill(
    config: Annotated[Path, typer.Argument(help="YAML file of the connector.")],
    object_name: Annotated[str, typer.Argument(metavar="OBJECT", help="Object whose records are read.")],
    key: Annotated[str | None, typer.Option(help="This record alone.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="From this key on.")] = None,
    last: Annotated[str | None, typer.Option("--through", help="Through this key.")] = None,
    fields: Annotated[str, typer.Option(help="Tell these fields only, comma separated.")] = "",
    rate: Annotated[int, typer.Option(min=1, max=100_000, help="Records per second at most.")] = 500,
    wait: Annotated[
        int, typer.Option(min=1, help="Give up when the source has not moved for so long (s).")
    ] = 60,
    again: Annotated[bool, typer.Option(help="From the beginning, not from where it was stopped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read every record of an object again from its system, behind live changes; exit status 2 when not all."""
    if key is not None and (first is not None or last is not None):
        msg = "--key names one record [backfill.bounds] Leave out --from and --through, or --key."
        raise CommandRefused(msg)
    bounds = {"--from": first if key is None else key, "--through": last if key is None else key}
    command = [
        *(sys.executable, "-m", "connectors.sdk.backfill_command", str(config), object_name),
        *(f"{name}={bound}" for name, bound in bounds.items() if bound is not None),
        *(f"--fields={fields}", f"--rate={rate}", f"--wait={wait}"),
        *(["--again"] if again else []),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        _pass_signals_on(worker)
        final = _shown(_steps(worker), object_name, as_json=as_json)
    _conclude(final, as_json=as_json)


def _pass_signals_on(worker: subprocess.Popen[str]) -> None:
    """Ctrl-C ends the worker in good order, and this process with it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: worker.terminate())


def _steps(worker: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert worker.stdout is not None
    for line in worker.stdout:
        yield json.loads(line)


def _shown(steps: Iterator[dict[str, Any]], object_name: str, *, as_json: bool) -> dict[str, Any]:
    """Show each step; the last one."""
    final: dict[str, Any] = {}
    console = Console(stderr=as_json)
    if as_json:
        for step in steps:
            final = step
    elif console.is_terminal:
        final = _drawn(steps, object_name, console)
    else:
        lines = Lines(object_name)
        for step in steps:
            final = step
            text = lines.line_of(step)
            if text:
                typer.echo(text)
    return final


def _drawn(steps: Iterator[dict[str, Any]], object_name: str, console: Console) -> dict[str, Any]:
    final: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(object_name, total=None)
        for step in steps:
            final = step
            if step["step"] == "begun":
                progress.update(bar, total=step["about"], completed=step["done"])
            elif step["step"] == "waiting":
                progress.update(bar, description=f"{object_name}: live changes go first")
            elif step["step"] == "published":
                progress.update(bar, description=object_name, completed=step["done"])
    return final


class Lines:
    """Which steps are worth a line, and its words."""

    def __init__(self, object_name: str) -> None:
        self._object = object_name
        self._about: int | None = None
        self._next = 0

    def line_of(self, step: dict[str, Any]) -> str:
        """The line for a step; empty for one that is not worth one."""
        if step["step"] == "begun":
            self._about = step["about"]
            self._next = step["done"]
            where = f"goes on after {step['done']} records" if step["done"] else "from the beginning"
            total = "" if self._about is None else f", about {self._about} records in all"
            return f"{self._object}: {where}{total}"
        if step["step"] == "waiting" and step["seconds"] % 5 == 0:
            return f"{self._object}: waiting for live changes to go first ({step['seconds']} s)"
        if step["step"] == "published" and step["done"] >= self._next:
            self._next = step["done"] + max(1, (self._about or LINES_MAX * RECORDS_PER_LINE) // LINES_MAX)
            return f"{self._object}: {step['done']} records are in Kafka"
        return ""


def _conclude(final: dict[str, Any], *, as_json: bool) -> None:
    """The summary and the exit status. Raises BackfillRefused."""
    if final.get("step") == "refused":
        msg = f"{final['detail']} [{final['code']}] {final['remedy']}"
        raise BackfillRefused(msg)
    if final.get("step") != "ended":
        msg = "the backfill ended without a word [backfill.died] Start it again: it goes on where Kafka last confirmed."
        raise BackfillRefused(msg)
    summary = {name: value for name, value in final.items() if name != "step"}
    show(summary, as_json=as_json, text=summary_text(summary))
    if not summary["finished"] or summary["unusable"]:
        raise typer.Exit(DIFFERENCES)


def summary_text(summary: dict[str, Any]) -> str:
    """The summary for people."""
    first = f"{summary['published']} records of {summary['system']}'s {summary['object']} published"
    said = [f"{first} in {summary['seconds']} s; for {summary['waited_s']} s live changes went first."]
    if summary["unusable"]:
        said.append(
            f"{summary['unusable']} records have a key that cannot be published (1 to 512 bytes of UTF-8)."
        )
    if not summary["finished"]:
        said.append("Stopped before the end: start it again, and it goes on where Kafka last confirmed.")
    return "\n".join(said)
