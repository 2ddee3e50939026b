"""`solesource demo`: the main job on real parts, told in the terminal."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End by itself; exit status 0 only if everything held.")
    ] = False,
    home: Annotated[Path, typer.Option(help="Folder of the demo's files.")] = Path("var/demo"),
) -> None:
    """Run the demo: two real systems, one owner per field, a kill in the middle, and the account of it all."""
    from broker.demo.run import run

    raise typer.Exit(run(home, once=once))
