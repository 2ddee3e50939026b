"""`solesource map import-odcs`: data contracts of others as files of the map."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.cli.files import write
from broker.cli.output import AsJson, CommandRefused, show
from ownership.lines import DOCUMENT_LENGTH_MAX
from ownership.odcs_import import Imported, imported
from schemas.register import versions_of, with_version
from schemas.registry import canonical_digest, read_folder


def import_odcs(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Data contracts.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of a map; what is there stays as it is.")],
    as_json: AsJson = False,
) -> None:
    """Write data contracts (Open Data Contract Standard 3.1.0) as files of a map; what they do not say is left open."""
    found = [one for path in files for one in imported(_text(path), path.name)]
    out.mkdir(parents=True, exist_ok=True)
    changed = _files(found, out)
    for name, text in changed.items():
        write(out / name, text)
    rows = [{"object": one.object, "open": list(one.open)} for one in found]
    said = [
        f"{one.object}: still to be said: {', '.join(one.open)}" if one.open else one.object for one in found
    ]
    more = f"{', '.join(sorted(changed))} in {out}. Look at them: solesource map lint {out}"
    show(rows, as_json=as_json, text="\n".join([*said, more]))


def _text(path: Path) -> str:
    if path.stat().st_size > 4 * DOCUMENT_LENGTH_MAX:  # of UTF-8 a character takes 4 bytes at most
        msg = f"{path} is too long [odcs.too_long] Split it by object."
        raise CommandRefused(msg)
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {error} [odcs.file] Give a text in UTF-8."
        raise CommandRefused(msg) from error


def _files(found: list[Imported], out: Path) -> dict[str, str]:
    """What is written, by name. Raises CommandRefused rather than take the place of a file."""
    registry, changed = read_folder(out), dict[str, str]()
    for one in found:
        name = f"{one.object}.yaml"
        if name in changed or (out / name).exists():
            msg = f"{one.object} has a file already: {out / name} [odcs.exists] Move it away first."
            raise CommandRefused(msg)
        if not _registered({**registry, **changed}, one.object, one.contract):
            changed |= with_version({**registry, **changed}, one.object, one.contract)
        changed[name] = one.text
    return changed


def _registered(texts: Mapping[str, str], name: str, contract: Mapping[str, Any]) -> bool:
    same = canonical_digest(contract)
    return any(canonical_digest(one.document) == same for one in versions_of(texts, name))
