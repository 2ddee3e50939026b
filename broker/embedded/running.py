"""What every part that is brought up and taken down has in common: it works as a context manager."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Running(ABC):
    """`with part:` brings it up and always takes it down, also when bringing it up fails half way."""

    @abstractmethod
    def up(self) -> object:
        """Bring it up."""

    @abstractmethod
    def down(self) -> object:
        """Take it down; does nothing when it is not up."""

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()
