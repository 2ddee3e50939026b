"""Tells what happens, in the terminal: headings, sentences, tables, and a progress bar on every wait.

Plain lines where output is not a terminal. Knows nothing of what it tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

POLL_S = 0.1


class NotSeen(Exception):
    """Something that the demo expects to see did not happen in time."""

    code = "demo.not_seen"


class Unexpected(Exception):
    """Something happened otherwise than the demo promises."""

    code = "demo.unexpected"


class Narrator:
    """The voice of the demo."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()

    def step(self, number: int, title: str) -> None:
        """A heading."""
        self.console.print(
            f"\n[bold]{number}. {title}[/bold]  [dim]{time.monotonic() - self._began:.0f} s[/dim]"
        )

    def say(self, text: str) -> None:
        """A sentence; values in it are printed as they are."""
        self.console.print(f"   {text}", markup=False)

    def expect(self, holds: bool, text: str) -> None:
        """Say that something expected was seen; raises Unexpected when it does not hold."""
        if not holds:
            msg = f"not as promised: {text} [demo.unexpected] Look at the logs below the demo's folder."
            raise Unexpected(msg)
        self.console.print("   [green]seen[/green]  ", end="")
        self.console.print(text, markup=False)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A small table."""
        table = Table(title=title, title_justify="left", title_style="bold")
        for column in columns:
            table.add_column(column)
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self.console.print(table)

    def differences(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Authoritative beside attempted."""
        columns = ("field", "in force", "attempted", "owner", "verdict")
        self.table(title, columns, [[row[column] for column in columns] for row in rows])

    def wait(
        self,
        what: str,
        done: Callable[[], int | bool],
        *,
        total: int = 1,
        timeout_s: float = 60.0,
        every_s: float = POLL_S,
        trouble: Callable[[], str] | None = None,
    ) -> None:
        """Wait until `done` has reached `total`; raises NotSeen with what `trouble` says after `timeout_s`.

        `every_s`: how often it is asked, for what costs the system that is asked.
        """
        started = time.monotonic()
        with self._bar() as bar:
            task = bar.add_task(what, total=total)
            while (count := int(done())) < total:
                bar.update(task, completed=count)
                if time.monotonic() - started > timeout_s:
                    detail = f" {trouble()}" if trouble else ""
                    msg = (
                        f"{what}: {count} of {total} after {timeout_s:.0f} s [demo.not_seen] "
                        f"Look at the logs below the demo's folder.{detail}"
                    )
                    raise NotSeen(msg)
                time.sleep(every_s)
            bar.update(task, completed=total)
        if not self.console.is_terminal:
            amount = f" ({total})" if total > 1 else ""
            self.say(f"{what}{amount}: {time.monotonic() - started:.1f} s")

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("  "),
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=False,
            disable=not self.console.is_terminal,
        )
