"""`solesource user add | link`: who may sign in to the console."""

from typing import Annotated

import typer

from broker.console.users import REVIEWER, make_login_link, make_user
from broker.settings import Settings

app = typer.Typer(no_args_is_help=True, help="People who may sign in to the console.")


@app.command()
def add(
    name: str,
    role: Annotated[list[str] | None, typer.Option(help="viewer or reviewer; may be given again.")] = None,
) -> None:
    """Add a person; asks for a password of at least 12 characters."""
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    make_user(Settings().users_path, name, password, role or [REVIEWER])
    typer.echo(f"{name} may sign in.")


@app.command()
def link(name: str) -> None:
    """Print an address that signs a person in once, within ten minutes."""
    settings = Settings()
    typer.echo(make_login_link(settings.users_path, name, f"http://{settings.host}:{settings.console_port}"))
