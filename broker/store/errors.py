"""Errors of the store: each has a stable code, and says what is wrong and what to do."""

from __future__ import annotations


class StoreError(Exception):
    """Something about the database stands in the way."""

    code = "store.error"
    remedy = "See docs/how-to/review-quarantined-writes.md."

    def __init__(self, detail: str, remedy: str | None = None) -> None:
        self.detail = detail
        if remedy is not None:
            self.remedy = remedy
        super().__init__(f"{detail} [{self.code}] {self.remedy}")


class StoreUrlRefusedError(StoreError):
    """The database URL cannot be used; its text is never shown, for it holds a password."""

    code = "store.url_refused"
    remedy = "Give SOLESOURCE_DATABASE_URL as sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE."


class StoreUnavailableError(StoreError):
    """The database cannot be reached or is locked; trying again later is safe."""

    code = "store.unavailable"
    remedy = "Check that the database runs; nothing was lost, work goes on by itself."


class StoreOutdatedError(StoreError):
    """The tables were made by another version of the product."""

    code = "store.outdated"
    remedy = "Rebuild them from the topics with `solesource control --rebuild`."


class PositionMovedError(StoreError):
    """Another process advanced the same position; this transaction must not be committed."""

    code = "store.position_moved"
    remedy = "Run one control process per database."


class StoreAheadError(StoreError):
    """A newer program made the tables of what people decided."""

    code = "store.ahead"
    remedy = "Run the newer program, or go back with it: `solesource database back STEP`."


class StoreStepUnknownError(StoreError):
    """There is no such step of the migrations."""

    code = "store.step_unknown"


class StoreHoldsRowsError(StoreError):
    """Going back would lose what people decided."""

    code = "store.holds_rows"
    remedy = "Back the database up, then add --with-rows."
