"""Commands that are a process of the broker: gate, control, console, and a connector beside them."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from broker.cli.governed import signer_of
from broker.settings import Settings


def gate() -> None:
    """Run a gate worker: the Faust app that judges changes."""
    import faust
    import uvloop

    from broker import telemetry
    from broker.app import make_app
    from broker.kafka.unpacking import limit_unpacking
    from broker.lane.cycles import only_between_batches
    from broker.lane.trim import large_apart

    large_apart()
    telemetry.use_json_logs()
    limit_unpacking()
    only_between_batches()
    uvloop.install()
    worker = faust.Worker(make_app(Settings()), loglevel="WARNING", redirect_stdouts=False, quiet=True)
    worker.spinner = None  # its control characters would stand between the log's JSON lines
    worker.execute_from_commandline()


def control(
    rebuild: Annotated[bool, typer.Option(help="Forget what was read from Kafka and read it again.")] = False,
) -> None:
    """Run control: read models, evaluation of promises, minute ticks, metrics."""
    from broker.agents.control import ControlSettings, run
    from broker.kafka.estate import first_map
    from broker.kafka.planning import compiled
    from broker.kafka.unpacking import limit_unpacking

    limit_unpacking()
    settings = Settings()
    published = first_map(settings.access("control"), settings.map_documents(), "control")
    run(
        ControlSettings(
            kafka=settings.access("control"),
            database_url=settings.store_url,
            ownership_map=compiled(published),
            host=settings.host,
            port=settings.control_port,
            registry=settings.registry,
            signer=lambda: signer_of(settings),
            mail=settings.mail(),
            public_url=settings.console_public_url,
        ),
        rebuild=rebuild,
    )


def console() -> None:
    """Run the console: what operations people see and decide."""
    from broker.console.app import serve
    from broker.console.settings import ConsoleSettings
    from broker.rules import rules_of

    settings = Settings()
    systems = rules_of(settings.map_documents(), 0).ownership_map.systems
    serve(
        ConsoleSettings(
            kafka=settings.access("console"),
            database_url=settings.store_url,
            users_file=settings.users_path,
            audit_key=settings.audit_key_path,
            anchors=settings.anchors_path,
            host=settings.host,
            port=settings.console_port,
            public_url=settings.console_public_url or None,
            titles={name: system.title for name, system in systems.items()},
        )
    )


alone = typer.Typer(pretty_exceptions_enable=False)
for process in (gate, control, console):
    alone.command()(process)
connector = typer.Typer(no_args_is_help=True, help="Connectors: how a system joins.")


@connector.command("run")
def connector_run(config: Annotated[Path, typer.Argument(help="YAML file of the connector.")]) -> None:
    """Run the connector of one system until it is stopped."""
    # A connector is a process of its own and knows nothing of the broker: this process becomes it.
    os.execv(sys.executable, [sys.executable, "-m", "connectors.sdk", str(config)])  # noqa: S606 - no shell


@connector.command("list")
def connector_list() -> None:
    """Adapters that are installed."""
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group="solesource.connectors"), key=lambda point: point.name):
        typer.echo(f"{point.name}  {point.value}")
