"""The tables of what people decided go forward and back, with rows in them, on both databases."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.orm import Session

from broker.store.engine import Engine, open_store, reading, writing
from broker.store.errors import StoreAheadError, StoreHoldsRowsError, StoreStepUnknownError
from broker.store.governed import ChangeRequest, Waiver
from broker.store.migrating import back, forward, head, step_of
from broker.store.tables import decisions, lasting

DECISION = {
    "command_id": "c-1",
    "case_id": "case-1",
    "decision": "keep",
    "by": "ana",
    "note": "Ünïcode → kept",
    "issued_ms": 1_790_000_000_000,
    "delivery": "",
}


def request(name: str) -> ChangeRequest:
    return ChangeRequest(
        request_id=name,
        title="t",
        reason="r",
        requester="ana",
        state="draft",
        plan="{}",
        plan_hash="h",
        asked="",
        base_version=1,
        created_ms=1,
        state_ms=1,
    )


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_what_the_steps_make_is_what_the_models_say(store: Engine) -> None:
    with reading(store) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        others = {"store_version", "alembic_version"}
        found = [
            one
            for one in compare_metadata(context, lasting)
            if not (one[0] in ("remove_table", "remove_index") and _table(one[1]) not in lasting.tables)
        ]
    assert found == [], (found, others)


def _table(one: object) -> str:
    return str(getattr(one, "table", one).name)  # type: ignore[attr-defined]


def test_every_step_back_and_forward_keeps_what_is_older(store: Engine) -> None:
    with writing(store) as connection:
        connection.execute(decisions.insert(), DECISION)
    whole = tables(store)
    for step in ("0004", "0003", "0002", "0001"):
        with writing(store) as connection:
            assert back(connection, step)
            assert step_of(connection) == step
        with writing(store) as connection:
            kept = connection.execute(decisions.select()).one()._asdict()
        assert kept == DECISION
        with writing(store) as connection:
            forward(connection)
            assert step_of(connection) == head()
        assert tables(store) == whole
    with writing(store) as connection, Session(connection) as session:
        session.add(request("cr-1"))
        session.flush()
        assert session.get(ChangeRequest, "cr-1") is not None


def test_rows_are_not_dropped_unasked(store: Engine) -> None:
    with writing(store) as connection, Session(connection) as session:
        session.add(request("cr-1"))
        session.add(
            Waiver(
                waiver_id="w", code="c", subject="s", owner="o", reason="r", by="ana", at_ms=1, expires_ms=2
            )
        )
        session.flush()
    whole = tables(store)
    with writing(store) as connection, pytest.raises(StoreHoldsRowsError, match=r"waivers \(1 rows\)"):
        back(connection, "0002")
    assert tables(store) == whole
    with writing(store) as connection:
        assert step_of(connection) == head()
    with writing(store) as connection:
        assert set(back(connection, "0002", with_rows=True)) == {
            "audit", "audit_checkpoints", "kept_answers", "mailed", "notices", "proofs", "sign_offs", "waivers",
        }  # fmt: skip
    with writing(store) as connection:
        forward(connection)
    with reading(store) as connection, Session(connection) as session:
        assert session.get(ChangeRequest, "cr-1") is not None
        assert session.get(Waiver, "w") is None


def test_a_database_from_before_there_were_steps_keeps_its_decisions(store: Engine) -> None:
    with writing(store) as connection:
        connection.execute(decisions.insert(), DECISION)
        back(connection, "0001")
        connection.execute(text("DROP TABLE alembic_version"))
    again = open_store(store.url.render_as_string(hide_password=False).replace("+pg8000", ""))
    with reading(again) as connection:
        assert step_of(connection) == head()
        assert connection.execute(decisions.select()).one()._asdict() == DECISION
    again.dispose()


def test_a_newer_database_is_left_alone(store: Engine) -> None:
    with writing(store) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with writing(store) as connection, pytest.raises(StoreAheadError, match="9999"):
        forward(connection)


def test_a_step_that_does_not_exist(store: Engine) -> None:
    with writing(store) as connection, pytest.raises(StoreStepUnknownError, match="0001, 0002"):
        back(connection, "0042")
