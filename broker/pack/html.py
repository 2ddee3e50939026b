"""A review pack as one HTML file: no script, nothing loaded, drawings within; read on a screen or printed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from broker.pack.facts import Pack
from broker.pack.outline import Bars, Grid, Heading, outline


def pack_html(pack: Pack) -> str:
    """The whole page. The same pack is the same text."""
    return _template().render(pack=outline(pack))


@cache
def _template() -> Template:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,  # values are text, whatever they contain
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.tests.update(
        grid_block=lambda block: isinstance(block, Grid),
        bars_block=lambda block: isinstance(block, Bars),
        heading_block=lambda block: isinstance(block, Heading),
    )
    return made.get_template("pack.html")
