"""What people and programs are told when something cannot be done: a stable code, a sentence, and a way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from broker.console.errors import ConsoleError
from broker.governance.evidence import NoSuchWaiverError
from broker.governance.requests import NoSuchRequestError
from broker.kafka.admin import KafkaRefused
from broker.store.audit import RowMovedError
from broker.store.errors import StoreError, StoreUnavailableError
from broker.store.signing import AnchorsError, AuditKeyError
from ownership.errors import MapRefused
from ownership.lifecycle import StepRefused
from ownership.plan import PlanRefused
from schemas.errors import SchemaError

Problem = tuple[str, int, str, str]
"""Stable type, status, sentence, what to do."""
FORBIDDEN = frozenset(
    {"request.own", "request.no_team", "request.not_yours", "waiver.not_yours", "review.not_yours"}
)
"""Codes that say: not you."""
UNUSABLE = frozenset(
    {"request.text", "waiver.subject", "waiver.expires", "request.plan_untrue", "request.empty"}
)
"""Codes that say: not that."""


def _console(error: Exception) -> Problem:
    assert isinstance(error, ConsoleError)
    return error.code, error.status, error.sentence, error.remedy


def _unavailable(error: Exception) -> Problem:
    assert isinstance(error, StoreUnavailableError)
    return (
        error.code,
        503,
        "The database does not answer just now.",
        "Nothing is lost. Try again in a minute.",
    )


def _http(error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    sentence = "There is no such page." if error.status_code == 404 else "That cannot be done here."
    return "console.not_found", error.status_code, sentence, "Go to Today or to Needs review."


def _step(error: Exception) -> Problem:
    assert isinstance(error, StepRefused)
    status = 403 if error.code in FORBIDDEN else 422 if error.code in UNUSABLE else 409
    status = 404 if error.code == "review.unknown" else status
    return error.code, status, f"{error.detail[:1].upper()}{error.detail[1:]}.", error.remedy


def _stored(error: Exception) -> Problem:
    assert isinstance(error, StoreError)
    missing = isinstance(error, NoSuchRequestError | NoSuchWaiverError)
    status = 404 if missing else 412 if isinstance(error, RowMovedError) else 503
    return error.code, status, f"{error.detail[:1].upper()}{error.detail[1:]}.", error.remedy


def _files(error: Exception) -> Problem:
    return str(getattr(error, "code", "plan.refused")), 422, str(error), "Mend the plan, and send it again."


def _shape(error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)
    # What was sent is not repeated: it may hold what nobody should read in a log.
    said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:10])
    return "api.shape", 422, said, "See /api/v1/openapi.json."


PROBLEMS: Mapping[type[Exception], Callable[[Exception], Problem]] = {
    ConsoleError: _console,
    StoreUnavailableError: _unavailable,
    HTTPException: _http,
    StepRefused: _step,
    RequestValidationError: _shape,
    **dict.fromkeys(
        (NoSuchRequestError, NoSuchWaiverError, RowMovedError, AnchorsError, AuditKeyError), _stored
    ),
    **dict.fromkeys((PlanRefused, MapRefused, SchemaError, KafkaRefused), _files),
}
"""What can go wrong, and how it is told."""
