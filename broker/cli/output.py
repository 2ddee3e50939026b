"""How commands speak: a table for people, JSON for programs, and one exit status for each kind of answer."""

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

OK, ERROR, DIFFERENCES = 0, 1, 2
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]


class CommandRefused(Exception):
    """A command cannot do what it was asked; the message says why, and what to do."""

    code = "command.refused"


def plain(text: str) -> str:
    """A text without what steers a terminal: others wrote parts of it, and could hide something from its reader."""
    return "".join(
        "\ufffd" if unicodedata.category(one) in ("Cc", "Cf") and one not in "\n\t" else one for one in text
    )


def show(document: Any, *, as_json: bool, table: Table | None = None, text: str = "") -> None:
    """Print a document as JSON, or the table or text that says the same."""
    if as_json:
        typer.echo(json.dumps(document, indent=2, default=str, ensure_ascii=False))
    elif table is not None:
        Console().print(table)
    else:
        Console(soft_wrap=True).print(plain(text), markup=False, highlight=False)


def table_of(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], title: str = "") -> Table:
    """A table of rows; columns: key to heading."""
    table = Table(title=title or None)
    for number, heading in enumerate(columns.values()):
        # The first column names the row: it is never cut, because people copy it into the next command.
        table.add_column(heading, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(plain(str(row.get(key, ""))) for key in columns))
    return table


def run(app: typer.Typer) -> None:
    """Run a command; a known error is one line that says what, where and what to do, and exit status 1."""
    try:
        app()
    except Exception as error:
        if not hasattr(error, "code"):
            raise
        typer.echo(f"solesource: {error}", err=True)
        sys.exit(1)
