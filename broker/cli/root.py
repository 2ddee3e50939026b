"""The root of the command line: mounts the groups, turns known errors into one clear line and exit status 1."""

import sys

import typer

from broker.cli import kafka, processes

app = typer.Typer(no_args_is_help=True, help="One system of record for every field.", pretty_exceptions_enable=False)
app.add_typer(kafka.app, name="kafka")
app.command()(processes.gate)


def main() -> None:
    """Run the command line; known errors are one line that says what, where and what to do."""
    try:
        app()
    except Exception as error:
        if not hasattr(error, "code"):
            raise
        typer.echo(f"solesource: {error}", err=True)
        sys.exit(1)
