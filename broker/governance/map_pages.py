"""The map's pages as HTML: the Markdown of `ownership.pages`, with drawings in place of Mermaid's text."""

from __future__ import annotations

import re
from collections.abc import Callable

from markdown_it import MarkdownIt

from broker.rules import Rules
from ownership.drawing import drawn
from ownership.map import OwnershipMap

_MERMAID = re.compile(r"```mermaid\n.*?```\n", re.DOTALL)
_LINK = re.compile(r'href="([a-z][a-z0-9_-]*)\.md"')
_PLACE = "DRAWING-OF-THE-OBJECT"


def html_of(ownership_map: OwnershipMap, name: str, text: str, address: Callable[[str], str]) -> str:
    """The Markdown of page `name` as HTML; `address`: where the page of an object is."""
    text = _MERMAID.sub(f"{_PLACE}\n", text)
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    body = _LINK.sub(lambda found: f'href="{address(found[1])}"', body)
    body = body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    entry = ownership_map.objects.get(name)
    if entry is not None:
        titles = {system: one.title for system, one in ownership_map.systems.items()}
        body = body.replace(f"<p>{_PLACE}</p>", drawn(entry, titles))
    return body


def meanings_of(rules: Rules) -> dict[str, dict[str, str]]:
    """Object to its fields, each with what its contract says that it is."""
    return {
        name: {str(field["name"]): str(field.get("doc", "")) for field in reader.contract.schema["fields"]}
        for name, reader in rules.readers.items()
    }
