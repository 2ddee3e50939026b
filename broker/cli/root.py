"""The root of the command line: mounts the groups and commands."""

import typer

from broker.cli import (
    acls,
    asyncapi,
    auditing,
    backfill,
    contracts,
    demo,
    doctor,
    documents,
    drifting,
    explain,
    importing,
    inferring,
    kafka,
    learn,
    ledger,
    maps,
    objects,
    orders,
    people,
    planning,
    prepare,
    processes,
    quarantine,
    requests,
    up,
    waivers,
    why,
)
from broker.cli.output import run

app = typer.Typer(
    no_args_is_help=True, help="One system of record for every field.", pretty_exceptions_enable=False
)
for name, group in (
    ("kafka", kafka.app),
    ("connector", processes.connector),
    ("map", maps.app),
    ("contract", contracts.app),
    ("object", objects.app),
    ("quarantine", quarantine.app),
    ("ledger", ledger.app),
    ("request", requests.app),
    ("waiver", waivers.waiver),
    ("review", waivers.review),
    ("proof", waivers.proof),
    ("audit", auditing.audit),
    ("database", auditing.database),
    ("user", people.app),
):
    app.add_typer(group, name=name)
contracts.app.command()(learn.learn)
contracts.app.command()(asyncapi.asyncapi)
for of_the_map in (
    planning.plan,
    planning.diff,
    planning.apply,
    planning.history,
    planning.at,
    drifting.drift,
    acls.acls,
    documents.docs,
    documents.matrix,
    documents.odcs,
    documents.openslo,
    importing.import_odcs,
    inferring.infer,
):
    maps.app.command()(of_the_map)
maps.app.command("coverage")(inferring.cover)
for command in (
    up.up,
    demo.demo,
    prepare.prepare,
    processes.gate,
    processes.control,
    processes.console,
    explain.explain,
    why.why,
    explain.status,
    orders.pause,
    orders.resume,
    orders.source_reset,
    backfill.backfill,
    doctor.doctor,
):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    run(app)
