"""Notices on their way to a real mail server: who hears what, what is sent once, and what is waited for."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from sqlalchemy import select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from broker.access import MailAccess
from broker.agents import mailing
from broker.agents.mailing import WITHIN_MS, Mailer, mailbox_of
from broker.clock import now_ms
from broker.embedded.files import free_port
from broker.governance.telling import tell
from broker.settings import Settings, SettingsRefused
from broker.store.audit import Actor, deciding
from broker.store.audit_check import verify
from broker.store.engine import Engine, open_store, reading
from broker.store.governed import Mailed
from broker.store.signing import Signer, public_path, read_anchors, read_public, read_signer
from tests.connector_bench import until
from tests.console_served import certificate_in
from tests.governed_map import compiled
from tests.inbox import Inbox, listening

SENDER = "solesource@example.com"
SALES, FINANCE = "sales-operations@example.com", "finance@example.com"
MAP = compiled()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    made.dispose()


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return read_signer(tmp_path / "key.pem", tmp_path / "anchors.jsonl")


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    with listening(Inbox()) as found:
        yield found


def mailer(engine: Engine, port: int, *, scheme: str = "smtp", **more: Any) -> Mailer:
    access = MailAccess(f"{scheme}://127.0.0.1:{port}", SENDER, **more)
    return Mailer(engine, access, MAP, "https://sync.example.com/")


def leave(
    engine: Engine, signer: Signer, whom: str, text: str, *, at_ms: int = 0, subject: str = "request:cr-1"
) -> None:
    actor = Actor("rita", "cli", at_ms or now_ms())
    with deciding(engine, signer, actor, "test") as session:
        assert tell(session, actor, whom, subject, text)


def written(engine: Engine) -> list[tuple[str, str]]:
    with reading(engine) as connection, Session(connection) as session:
        return sorted((row.outcome, row.detail) for row in session.scalars(select(Mailed)))


def test_a_team_hears_once_what_it_is_asked_and_where(
    engine: Engine, signer: Signer, inbox: tuple[Inbox, int]
) -> None:
    seen, port = inbox
    leave(engine, signer, "sales-operations", "rita asks: Ünïcode → the ERP")
    sending = mailer(engine, port)
    assert [sending.look(), sending.look()] == [1, 0]
    ((to, mail),) = seen.mails
    assert to == [SALES] and mail["To"] == SALES and mail["From"] == f"SoleSource <{SENDER}>"
    assert mail["Subject"] == "rita asks: Ünïcode → the ERP" and mail["Auto-Submitted"] == "auto-generated"
    assert "https://sync.example.com/approvals/cr-1" in mail.get_content()
    assert written(engine) == [("sent", "")]


def test_what_was_cut_off_is_sent_again_under_the_same_id(
    engine: Engine, signer: Signer, inbox: tuple[Inbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, port = inbox
    leave(engine, signer, "finance", "Approved")
    sending = mailer(engine, port)
    with monkeypatch.context() as patch:
        patch.setattr(mailing, "mailed", None)  # ends after the server has it
        with pytest.raises(TypeError):
            sending.look()
    assert sending.look() == 1
    assert len({mail["Message-ID"] for _, mail in seen.mails}) == 1 and len(seen.mails) == 2


def test_whoever_has_no_address_is_not_asked_for_again(
    engine: Engine, signer: Signer, inbox: tuple[Inbox, int]
) -> None:
    seen, port = inbox
    leave(engine, signer, "rita", "Returned")
    assert mailer(engine, port).look() == 0
    assert written(engine) == [("nowhere", "neither a team's contact nor an address")] and not seen.mails


@pytest.mark.parametrize(
    ("whom", "found"),
    [
        ("finance", FINANCE),
        ("mailto:crm@example.com", "crm@example.com"),
        ("ana@example.com", "ana@example.com"),
        ("ana", None),
        ("https://example.com/@ana", None),
        ("ana@example.com\nBcc: all@example.com", None),
        ("tel:+44@20", None),
    ],
)
def test_where_somebody_is_reached(whom: str, found: str | None) -> None:
    assert mailbox_of(whom, MAP) == found


def test_an_address_that_is_refused_does_not_stop_the_others(
    engine: Engine, signer: Signer, inbox: tuple[Inbox, int]
) -> None:
    seen, port = inbox
    seen.answers = {SALES: "550 no such mailbox", FINANCE: "451 come back later"}
    leave(engine, signer, "sales-operations", "One")
    leave(engine, signer, "finance", "Two")
    leave(engine, signer, "platform", "Three")
    sending = mailer(engine, port)
    assert sending.look() == 1 and seen.mails[0][0] == ["platform@example.com"]
    assert written(engine) == [("refused", "550 no such mailbox"), ("sent", "")]
    seen.answers = {}
    assert sending.look() == 1 and seen.mails[1][0] == [FINANCE]


def test_a_text_cannot_add_a_header_nor_be_endless(
    engine: Engine, signer: Signer, inbox: tuple[Inbox, int]
) -> None:
    seen, port = inbox
    leave(engine, signer, "finance", "Mind\r\nBcc: all@example.com " + "x" * 500, subject="review:customer")
    assert mailer(engine, port).look() == 1
    ((to, mail),) = seen.mails
    assert to == [FINANCE] and mail["Bcc"] is None and len(mail["Subject"]) == 120
    assert "/ownership/objects/customer" in mail.get_content() and "x" * 500 in mail.get_content().replace(
        "\n", ""
    )


def test_last_months_notices_are_not_mailed(engine: Engine, signer: Signer, inbox: tuple[Inbox, int]) -> None:
    seen, port = inbox
    leave(engine, signer, "finance", "Long ago", at_ms=now_ms() - WITHIN_MS - 1000)
    assert mailer(engine, port).look() == 0 and not seen.mails


async def test_a_server_that_is_away_is_waited_for_and_told_once(
    engine: Engine, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "LOOK_EVERY_S", 0.05)
    leave(engine, signer, "finance", "Approved")
    handler, port = Inbox(), free_port()
    with capture_logs() as logs:
        running = asyncio.create_task(mailer(engine, port).run())
        await asyncio.sleep(0.4)
        try:
            with listening(handler, port):
                await until(lambda: bool(written(engine)), 10)
        finally:
            running.cancel()
    assert [line["error"] for line in logs if line["event"] == "control.not_mailed"] == [
        "ConnectionRefusedError"
    ]
    assert len(handler.mails) == 1


def test_a_sender_that_is_refused_is_a_fault_of_the_setting(engine: Engine, signer: Signer) -> None:
    class Strict(Inbox):
        async def handle_MAIL(self, *_: Any) -> str:  # noqa: N802
            return "553 not from you"

    leave(engine, signer, "finance", "Approved")
    with listening(Strict()) as (_, port), pytest.raises(smtplib.SMTPSenderRefused):
        mailer(engine, port).look()
    assert written(engine) == []


def test_what_goes_to_another_machine_is_encrypted_or_does_not_go(
    engine: Engine, signer: Signer, inbox: tuple[Inbox, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, port = inbox
    leave(engine, signer, "finance", "Approved")
    monkeypatch.setattr(mailing, "is_loopback", lambda _: False)
    with pytest.raises(smtplib.SMTPNotSupportedError):
        mailer(engine, port).look()
    assert seen.mails == [] and written(engine) == []

    def known(_server: Any, _session: Any, _envelope: Any, _kind: str, said: LoginPassword) -> AuthResult:
        return AuthResult(success=(said.login, said.password) == (b"bot", b"secret"), handled=False)

    certificate, key = certificate_in(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    options: dict[str, Any] = {"require_starttls": True, "auth_required": True, "authenticator": known}
    with listening(seen, tls_context=context, **options) as (_, other):
        with pytest.raises(ssl.SSLCertVerificationError):
            mailer(engine, other, username="bot", password="secret").look()
        known_as = {"username": "bot", "ca_file": str(certificate)}
        with pytest.raises(smtplib.SMTPAuthenticationError):
            mailer(engine, other, password="wrong", **known_as).look()
        assert mailer(engine, other, password="secret", **known_as).look() == 1
    assert len(seen.mails) == 1


def test_what_is_mailed_is_no_persons_decision(
    engine: Engine, signer: Signer, inbox: tuple[Inbox, int], tmp_path: Path
) -> None:
    leave(engine, signer, "finance", "Approved")
    assert mailer(engine, inbox[1]).look() == 1
    key = read_public(public_path(tmp_path / "key.pem"))
    with reading(engine) as connection:
        assert verify(connection, [key], read_anchors(signer.anchors)).found == ()


@pytest.mark.parametrize(
    ("server", "sender"),
    [
        ("mail.example.com", SENDER),
        ("https://mail.example.com", SENDER),
        ("smtp://user:secret@mail.example.com", SENDER),
        ("smtp://mail.example.com/path", SENDER),
        ("smtp://mail.example.com", "nobody"),
        ("smtp://mail.example.com", "a@b.c\nBcc: x@y.z"),
    ],
)
def test_an_address_that_is_none(server: str, sender: str) -> None:
    with pytest.raises(SettingsRefused, match=r"\[settings.mail\]") as refused:
        Settings(mail_server=server, mail_from=sender).mail()
    assert "secret" not in str(refused.value)


def test_ports_and_passwords(tmp_path: Path) -> None:
    assert Settings().mail() is None
    (tmp_path / "secret").write_text("word\n")
    settings = Settings(
        mail_server="smtps://mail.example.com",
        mail_from=SENDER,
        mail_user="bot",
        mail_password_file=tmp_path / "secret",
    )
    found = settings.mail()
    assert found is not None and (found.port, found.password) == (465, "word") and "word" not in repr(found)
    assert MailAccess("smtp://mail.example.com", SENDER).port == 587
    with pytest.raises(SettingsRefused, match=r"\[settings.mail\]"):
        settings.model_copy(update={"mail_password_file": tmp_path / "absent"}).mail()
