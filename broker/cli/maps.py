"""`solesource map lint | show`: is the map in order, and what does it say."""

from pathlib import Path
from typing import Annotated, Any

import typer

from broker.cli.files import settings_of
from broker.cli.output import DIFFERENCES, AsJson, show, table_of
from broker.rules import rules_of
from ownership.errors import MapRefused
from ownership.map import ObjectMap

app = typer.Typer(no_args_is_help=True, help="The ownership map.")
Folder = Annotated[Path | None, typer.Argument(help="Folder of the map; default SOLESOURCE_MAP_DIR.")]


@app.command()
def lint(folder: Folder = None, as_json: AsJson = False) -> None:
    """Check the map; exit status 2 when it has faults."""
    try:
        rules_of(settings_of(folder).map_documents(), 0)
    except MapRefused as refused:
        findings = [
            {
                "file": f.file,
                "line": f.line,
                "path": f.path,
                "code": f.code,
                "detail": f.detail,
                "remedy": f.remedy,
            }
            for f in refused.findings
        ]
        show(findings, as_json=as_json, text="\n".join(str(finding) for finding in refused.findings))
        raise typer.Exit(DIFFERENCES) from None
    show([], as_json=as_json, text="The map is in order.")


@app.command("show")
def show_map(folder: Folder = None, as_json: AsJson = False) -> None:
    """Say who owns what, and who may read it."""
    ownership_map = rules_of(settings_of(folder).map_documents(), 0).ownership_map
    rows = [row for entry in ownership_map.objects.values() for row in _rows(entry)]
    columns = {"field": "Field", "owner": "System of record", "readers": "May read", "class": "Class"}
    show(rows, as_json=as_json, table=table_of(rows, columns, "Who owns what"))


def _rows(entry: ObjectMap) -> list[dict[str, Any]]:
    return [
        {
            "field": f"{entry.name}.{name}",
            "owner": entry.owners[name],
            "class": entry.classes.get(name, ""),
            "readers": ", ".join(
                system for system, fields in sorted(entry.readers.items()) if fields is None or name in fields
            ),
        }
        for name in entry.fields
    ]
