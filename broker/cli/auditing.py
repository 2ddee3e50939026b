"""`solesource audit | database ...`: is what people decided as it was written, and which shape do its tables have?"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.cli.governed import engine_of, looking, own_store_url
from broker.cli.output import DIFFERENCES, AsJson, show, table_of
from broker.settings import Settings
from broker.store.audit_check import verify as verified
from broker.store.decided import audit_page
from broker.store.engine import reading, writing
from broker.store.migrating import back
from broker.store.signing import fingerprint, make_key, public_path, read_anchors, read_public
from ownership.changed import moment

audit = typer.Typer(no_args_is_help=True, help="Everything that people decided, chained and signed.")
database = typer.Typer(no_args_is_help=True, help="The tables of what people decided.")


@audit.command("key")
def make() -> None:
    """Make the key that signs the audit; its public half, which verifies, lies beside it."""
    path = Settings().audit_key_path
    made = make_key(path)
    text = f"The key {fingerprint(made)} is in {path}, its public half in {public_path(path)}: keep that elsewhere."
    show(None, as_json=False, text=text)


@audit.command()
def verify(
    public: Annotated[
        list[Path] | None,
        typer.Option("--key", help="A public half that you kept; one for each that signed."),
    ] = None,
    anchors: Annotated[
        list[Path] | None, typer.Option(help="A file of signatures that you kept; one for each machine.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find whatever was edited, deleted, inserted or cut off; exit status 2 when something was."""
    settings = Settings()
    engine = engine_of(own_store_url(settings))
    keys = [read_public(path) for path in public or [public_path(settings.audit_key_path)]]
    heads = (head for path in anchors or [settings.anchors_path] for head in read_anchors(path))
    with reading(engine) as connection:
        found = verified(connection, keys, heads)
    counted = (
        f"{found.entries} entries, {found.rows} rows, {found.signatures} signatures, {found.anchors} of them kept "
        "outside the database"
    )
    said = [str(one) for one in found.found] or ["Everything is as it was written."]
    show(asdict(found), as_json=as_json, text="\n".join([*said, counted]))
    if found.found:
        raise typer.Exit(DIFFERENCES)


@audit.command("list")
def list_entries(
    subject: Annotated[str | None, typer.Option(help="Only of this table, such as change_requests.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List who did what, newest first."""
    with looking() as session:
        rows: list[dict[str, Any]] = [
            {
                "entry": entry.sequence,
                "at": moment(entry.at_ms),
                "by": entry.by,
                "via": entry.via,
                "action": entry.action,
                "subject": f"{entry.subject} {entry.key}",
                "after": entry.after,
            }
            for entry in audit_page(session, subject=subject, before=None, limit=limit)
        ]
    columns = {
        "entry": "Entry",
        "at": "When",
        "by": "Who",
        "via": "By",
        "action": "What",
        "subject": "Of what",
    }
    show(rows, as_json=as_json, table=table_of(rows, columns, "Audit"))


@database.command("back")
def go_back(
    to: Annotated[str, typer.Argument(metavar="STEP")],
    with_rows: Annotated[
        bool, typer.Option("--with-rows", help="Also drop tables that hold something; back them up before.")
    ] = False,
) -> None:
    """Go back to an older step, for an older program; forward goes by itself."""
    with writing(engine_of(own_store_url(Settings()))) as connection:
        gone = back(connection, to, with_rows=with_rows)
    show(None, as_json=False, text=f"The database is at step {to}. Gone: {', '.join(gone) or 'nothing'}.")
