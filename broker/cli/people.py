"""`solesource user add | link | token`: who may sign in to the console."""

from typing import Annotated

import typer

from broker.console.errors import UsersFileError
from broker.console.users import REVIEWER, Users, make_login_link, make_token, make_user
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
    here = f"http://{settings.host}:{settings.console_port}"
    typer.echo(make_login_link(settings.users_path, name, settings.console_public_url or here))


@app.command()
def token(name: str) -> None:
    """Print a token by which the console's API knows a person or a program; earlier ones no longer count."""
    path = Settings().users_path
    if Users(path).find(name) is None:
        msg = f"no user {name} in {path.name}"
        raise UsersFileError(msg, f"Add them with `solesource user add {name}`.")
    typer.echo(make_token(path, name))
