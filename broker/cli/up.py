"""`solesource up`: all of it on one machine, with the embedded Kafka and SQLite, until Ctrl-C."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from broker.cli.output import CommandRefused
from broker.console.users import Users, make_login_link, make_user
from broker.machine import Machine
from broker.settings import Settings

OPERATOR = "operator"


def up(
    map_dir: Annotated[Path, typer.Option("--map", help="Folder of the ownership map and its contracts.")],
    connector: Annotated[
        list[Path] | None, typer.Option(help="YAML file of a connector; may be given again.")
    ] = None,
) -> None:
    """Run gate, control, console and connectors on this machine until Ctrl-C."""
    settings = Settings(map_dir=map_dir)
    files = connector or []
    for path in files:
        if not path.is_file():
            msg = f"there is no connector file {path} [up.no_connector] Give the path of its YAML file."
            raise CommandRefused(msg)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Machine(settings, say=typer.echo) as machine:
        for path in files:
            machine.start_connector(path.stem, path)
        users = machine.settings.users_path
        if Users(users).find(OPERATOR) is None if users.exists() else True:
            make_user(users, OPERATOR)
        typer.echo(f"Kafka    {machine.settings.bootstrap}")
        typer.echo(f"Console  {machine.console_url}")
        typer.echo(
            f"Sign in  {make_login_link(users, OPERATOR, machine.console_url)}  (once, within ten minutes)"
        )
        typer.echo("Ctrl-C ends everything.")
        ended.wait()
