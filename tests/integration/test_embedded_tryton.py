"""The embedded ERP, for real: it answers, its users may do what they should, and a second one is quick."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from broker.embedded.errors import SetupError
from broker.embedded.postgres import EmbeddedPostgres
from broker.embedded.tryton import ADMIN_USER, EmbeddedTryton
from broker.embedded.tryton_rpc import TrytonSession, decimal

# The first on a machine installs Tryton and prepares a database.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def test_the_connectors_user_writes_a_credit_limit(tryton: EmbeddedTryton) -> None:
    session = TrytonSession(tryton.url, tryton.database, tryton.user, tryton.password)
    try:
        context = session.call("model.res.user.get_preferences", True, {})
        assert context["company"] == 1
        (party,) = session.call("model.party.party.create", [{"name": "Ada"}], context)
        values = {"credit_limit_amount": decimal("2500")}
        session.call("model.party.party.write", [party], values, context)
        (read,) = session.call("model.party.party.read", [party], ["name", "credit_limit_amount"], context)
        assert read["credit_limit_amount"] == decimal("2500")
        with pytest.raises(SetupError, match="not allowed"):
            session.call("model.res.user.create", [{"name": "x", "login": "x"}], context)
    finally:
        session.close()


def test_a_wrong_password_is_refused(tryton: EmbeddedTryton) -> None:
    with pytest.raises(SetupError, match="401"):
        TrytonSession(tryton.url, tryton.database, ADMIN_USER, "wrong")


def test_secrets_are_readable_by_their_owner_only(tryton: EmbeddedTryton) -> None:
    for config in tryton.data_dir.glob("*.conf"):
        assert config.stat().st_mode & 0o077 == 0


def test_a_second_erp_is_a_quick_copy(
    tryton: EmbeddedTryton, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    began = time.monotonic()
    with EmbeddedTryton(tmp_path, postgres, database="second") as second:
        took_s = time.monotonic() - began
        TrytonSession(second.url, "second", second.user, second.password).close()
    # Measured 1.8 s on two idle cores; the limit only says "no preparation from nothing" (30 s).
    assert took_s < 15
