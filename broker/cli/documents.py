"""`solesource map docs | matrix | odcs | openslo`: the map for people who do not read YAML."""

import csv
import io
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import Annotated

import typer
import yaml

from broker import topics
from broker.cli.files import settings_of, write
from broker.cli.maps import Folder
from broker.cli.output import show
from broker.clock import today
from broker.governance.map_pages import html_of, meanings_of
from broker.rules import rules_of
from ownership.lines import read_yaml
from ownership.map import OwnershipMap
from ownership.odcs import odcs_of
from ownership.openslo import openslo_of
from ownership.pages import matrix as matrix_of
from ownership.pages import pages, which
from schemas.hops import BOUNDS_MS

_STYLE = """
:root{--ink:#1c2430;--paper:#fff;--line:#c9d1da;--soft:#f2f5f8;--strong:#0b5cad}
@media (prefers-color-scheme:dark){
:root{--ink:#e6eaf0;--paper:#14181d;--line:#3a444f;--soft:#1d232a;--strong:#7db7f5}}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem}h2{font-size:1.2rem;margin-top:2rem}a{color:var(--strong)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid var(--line);padding:.4rem .6rem;text-align:left;vertical-align:top}
th{background:var(--soft)}
svg{width:100%;max-width:760px;height:auto}
svg rect{fill:var(--soft);stroke:var(--line)}svg rect.object{stroke:var(--strong);stroke-width:2}
svg text{font-size:14px;text-anchor:middle;fill:var(--ink)}svg text.said{font-size:12px;
paint-order:stroke;stroke:var(--paper);stroke-width:5px}
svg .line{stroke:var(--ink);fill:none}svg marker path{fill:var(--ink)}
"""


class Format(StrEnum):
    """How pages are written."""

    HTML = "html"
    MARKDOWN = "markdown"


def docs(
    out: Annotated[Path, typer.Argument(help="Folder for the pages.")],
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the map; default SOLESOURCE_MAP_DIR.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="`html` or `markdown`.")] = Format.HTML,
) -> None:
    """Write the map as pages: who owns what, who may read and write, how conflicts are settled, what is promised."""
    rules = rules_of(settings_of(folder).map_documents(), 0)
    found = pages(rules.ownership_map, meanings_of(rules), which(rules.ownership_map, today()))
    if form is Format.HTML:
        found = {
            name.replace(".md", ".html"): page(rules.ownership_map, name.removesuffix(".md"), text)
            for name, text in found.items()
        }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        write(out / name, text)
    first = "index.html" if form is Format.HTML else "index.md"
    show({"pages": sorted(found)}, as_json=False, text=f"{len(found)} pages. Begin with {out / first}.")


def page(ownership_map: OwnershipMap, name: str, text: str) -> str:
    """A page in HTML that stands alone."""
    body = html_of(ownership_map, name, text, lambda one: f"{one}.html")
    entry = ownership_map.objects.get(name)
    if entry is not None:
        body = f'<p><a href="index.html">Who owns what</a></p>\n{body}'
    title = escape("Who owns what" if entry is None else entry.name)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def matrix(
    folder: Folder = None,
    out: Annotated[Path | None, typer.Option(help="File to write it to.")] = None,
) -> None:
    """Write who owns and reads each field as CSV, for spreadsheets."""
    rows = matrix_of(rules_of(settings_of(folder).map_documents(), 0).ownership_map)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    if out is None:
        typer.echo(text.getvalue(), nl=False)
    else:
        write(out, text.getvalue())


def odcs(
    out: Annotated[Path, typer.Argument(help="Folder for the contracts.")],
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the map; default SOLESOURCE_MAP_DIR.")
    ] = None,
) -> None:
    """Write each object as a data contract of the Open Data Contract Standard 3.1.0, for catalogues."""
    texts = settings_of(folder).map_documents()
    rules = rules_of(texts, 0)
    streams = topics.streams_of(rules.ownership_map)
    out.mkdir(parents=True, exist_ok=True)
    for name, reader in sorted(rules.readers.items()):
        fields = {str(field["name"]): field for field in reader.contract.schema["fields"]}
        file = rules.ownership_map.objects[name].file
        written, _ = read_yaml(texts[file], file)
        topic = topics.authoritative(streams[name])
        document = odcs_of(rules.ownership_map, name, topic, fields, written)
        write(out / f"{name}.odcs.yaml", yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    show({}, as_json=False, text=f"{len(rules.readers)} contracts in {out}.")


def openslo(
    out: Annotated[Path, typer.Argument(help="Folder for the files.")],
    folder: Annotated[
        Path | None, typer.Option(help="Folder of the map; default SOLESOURCE_MAP_DIR.")
    ] = None,
) -> None:
    """Write the promises of each object as OpenSLO v1, for tools that compute and alert by that."""
    rules = rules_of(settings_of(folder).map_documents(), 0)
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, entry in sorted(rules.ownership_map.objects.items()):
        if documents := openslo_of(entry, BOUNDS_MS):
            text = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True)
            write(out / f"{name}.openslo.yaml", text)
            count += sum(one["kind"] == "SLO" for one in documents)
    show({}, as_json=False, text=f"{count} objectives in {out}.")
