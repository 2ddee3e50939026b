"""A console's store in the middle of governing: requests in every state, waivers, proofs, reviews that are due."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from broker.clock import now_ms
from broker.console.settings import ConsoleSettings
from broker.governance import evidence, requests, reviewing, taking_force
from broker.store.audit import Actor, deciding
from broker.store.engine import Engine
from broker.store.signing import read_signer
from ownership.plan import Plan, written
from tests.governed_map import (
    DAY_MS,
    EMAIL_TOO,
    NEW_OWNER,
    OTHER_WORDS,
    in_force,
    plan,
    published,
    with_replay,
)

LONG_AGO = {"review": {"every": "quarter", "last": "2026-01-01", "by": "sales-operations@example.com"}}


class Office:
    """People who act on a console's store."""

    def __init__(self, engine: Engine, settings: ConsoleSettings) -> None:
        self.engine = engine
        self.signer = read_signer(settings.audit_key, settings.anchors)

    def acts(self, by: str, at_ms: int | None = None) -> AbstractContextManager[Any]:
        self.actor = Actor(by, "cli", at_ms or now_ms())
        return deciding(self.engine, self.signer, self.actor, "test")

    def draft(self, made: Plan, title: str, by: str = "rita", reason: str = "It knows them better.") -> str:
        with self.acts(by) as session:
            row = requests.draft(session, self.actor, written(made), title, reason)
            session.flush()
            return row.request_id

    def propose(self, name: str, by: str = "rita") -> None:
        with self.acts(by) as session:
            requests.propose(session, self.actor, requests.found(session, name))

    def approve(self, name: str, by: str, note: str = "") -> None:
        with self.acts(by) as session:
            requests.approve(session, self.actor, requests.found(session, name), note)


def govern(engine: Engine, settings: ConsoleSettings) -> dict[str, str]:
    """Fill the store; names of requests by what they are for."""
    office = Office(engine, settings)
    in_force(engine, 1, **LONG_AGO)
    before = with_replay(plan(published(1, **LONG_AGO), **LONG_AGO | OTHER_WORDS), at_ms=now_ms())
    old = office.draft(before, "Finance decides on conflicts", by="pat", reason="They are asked anyway.")
    office.propose(old, by="pat")
    office.approve(old, "ana", "As we agreed.")
    now = in_force(engine, 2, **LONG_AGO | OTHER_WORDS)
    with office.acts("pat") as session:
        taking_force.applied(session, office.actor, requests.found(session, old), 2)
    change = LONG_AGO | OTHER_WORDS
    asked = office.draft(
        with_replay(
            plan(now, **change | EMAIL_TOO), judged=120_000, flips=1_187, at_ms=now_ms(), fields="email"
        ),
        "E-mail addresses come from the ERP",
        reason="Finance corrects them when invoices bounce; sales never does.",
    )
    office.propose(asked)
    with office.acts("fay") as session:
        requests.remark(session, office.actor, requests.found(session, asked), "We see 40 bounces a week.")
    mine = office.draft(with_replay(plan(now, **change | NEW_OWNER), at_ms=now_ms()), "Names, too", by="ana")
    with office.acts("ana") as session:
        evidence.waive(
            session, office.actor, code="live.no_certificate", subject="customer crm -> erp",
            reason="Measured by hand until the first certificate.", expires_ms=now_ms() + 30 * DAY_MS,
        )  # fmt: skip
        evidence.prove(session, office.actor, "conformance", "crm", passed=True, reference="ci/17", days=60)
    with office.acts("control") as session:
        reviewing.remind(session, office.actor)
    return {"old": old, "asked": asked, "mine": mine}
