"""`solesource kafka up | down | status`: the embedded Kafka from the command line.

A Kafka of your own, named by KAFKA_BOOTSTRAP_SERVERS, always goes before the embedded one. Topics and
ACLs are not made here.
"""

import json
import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from broker.embedded.errors import EmbeddedError
from broker.embedded.jars import JarProgress
from broker.embedded.kafka import EmbeddedKafka, KafkaStatus

DEFAULT_DATA_DIR = Path("var/kafka")
OWN_KAFKA = "KAFKA_BOOTSTRAP_SERVERS"

app = typer.Typer(no_args_is_help=True, help="Apache Kafka on this machine, without Docker.")

DataDir = Annotated[
    Path, typer.Option("--data", envvar="SOLESOURCE_KAFKA_DATA", help="Where it keeps its data.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON object on standard output.")]


@app.command()
def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    port: Annotated[int, typer.Option(help="0 chooses a free one and keeps it.")] = 0,
    heap_mib: Annotated[int, typer.Option("--heap", help="Memory for Java, MiB.")] = 512,
    as_json: AsJson = False,
) -> None:
    """Start Kafka and leave it running. The first start fetches 45 MB of jars."""
    own = os.environ.get(OWN_KAFKA)
    if own:
        _say_own(own, as_json)
        return
    kafka = EmbeddedKafka(
        data_dir, port=port, heap_mib=heap_mib, tied=False, on_progress=None if as_json else _show_progress
    )
    try:
        status = kafka.up()
    except EmbeddedError as error:
        _fail(error, as_json)
    _say_status(status, as_json)


@app.command()
def down(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Stop the embedded one; its data stays."""
    try:
        was_running = EmbeddedKafka(data_dir, tied=False).down()
    except EmbeddedError as error:
        _fail(error, as_json)
    _say({"stopped": was_running}, "Kafka stopped." if was_running else "Kafka was not running.", as_json)


@app.command()
def status(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Is it up, and where. Exit status 3 if it is not."""
    own = os.environ.get(OWN_KAFKA)
    if own:
        _say_own(own, as_json)
        return
    seen = EmbeddedKafka(data_dir, tied=False).status()
    _say_status(seen, as_json)
    if not seen.running:
        raise typer.Exit(3)


def _say_own(bootstrap: str, as_json: bool) -> None:
    document: dict[str, object] = {"running": None, "bootstrap": bootstrap, "embedded": False}
    _say(document, f"{OWN_KAFKA} is set: {bootstrap} is used, no embedded one is needed.", as_json)


def _say_status(status: KafkaStatus, as_json: bool) -> None:
    credentials = Path(status.data_dir) / "credentials.json"
    text = (
        f"Kafka answers on {status.bootstrap} (pid {status.pid}). Log: {status.log_file}. "
        f"Passwords: {credentials}."
        if status.running
        else f"No Kafka runs on {status.data_dir}. Start it with `solesource kafka up`."
    )
    _say({**status.as_document(), "embedded": True}, text, as_json)


def _say(document: dict[str, object], text: str, as_json: bool) -> None:
    typer.echo(json.dumps(document, sort_keys=True) if as_json else text)


def _fail(error: EmbeddedError, as_json: bool) -> NoReturn:
    if as_json:
        typer.echo(json.dumps({"error": error.code, "message": str(error)}))
    else:
        typer.echo(f"{error} [{error.code}]", err=True)
    raise typer.Exit(1)


def _show_progress(progress: JarProgress) -> None:
    if progress.fetched:
        typer.echo(f"  {progress.index:2}/{progress.total} {progress.jar.file_name}", err=True)
