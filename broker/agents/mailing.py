"""Mails notices: whoever is asked, or is late, hears of it where they are. Over SMTP, at least once each.

A server that is away is waited for; an address that it does not take is written down, and the rest goes on. Without a
server nothing is mailed, and notices stand in the console as ever.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr

from broker import telemetry
from broker.access import MailAccess, is_loopback
from broker.clock import now_ms
from broker.governance.telling import address_of
from broker.store.decided import Session
from broker.store.engine import Engine, reading, writing
from broker.store.errors import StoreUnavailableError
from broker.store.governed import Notice
from broker.store.mailed import mailed, not_mailed
from ownership.map import OwnershipMap

LOOK_EVERY_S = 10.0
WITHIN_MS = 7 * 86_400_000
"""Older notices are not mailed any more: nobody wants last month's on the day on which a server is first named."""
AT_ONCE = 500
TIMEOUT_S = 20.0
SUBJECT_LENGTH_MAX = 120
PERMANENT = 500
"""SMTP's answers from here on mean: not by trying again (RFC 5321, section 4.2.1)."""


def mailbox_of(whom: str, ownership_map: OwnershipMap) -> str | None:
    """Where a team or a person is reached by mail; None where nobody has said."""
    team = ownership_map.teams.get(whom)
    contact = whom if team is None else team.contact
    address = contact.removeprefix("mailto:").strip()
    return address if "@" in address and ":" not in address and address.isprintable() else None


def message_of(notice: Notice, to: str, access: MailAccess, public_url: str) -> EmailMessage:
    """The mail of a notice; sent twice it has the same id, so that a reader shows it once."""
    said = " ".join(notice.text.split())
    message = EmailMessage()
    message["From"] = formataddr(("SoleSource", access.sender))
    message["To"] = to
    message["Subject"] = said if len(said) <= SUBJECT_LENGTH_MAX else f"{said[: SUBJECT_LENGTH_MAX - 3]}..."
    message["Date"] = format_datetime(datetime.fromtimestamp(notice.at_ms / 1000, UTC))
    message["Message-ID"] = f"<{notice.notice_id}@{access.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    link = f"\n{public_url.rstrip('/')}{address_of(notice.subject)}\n" if public_url else ""
    message.set_content(f"{notice.text}\n{link}\nFor {notice.whom}, about {notice.subject}.\n")
    return message


class Mailer:
    """Sends what was left since it last looked."""

    def __init__(
        self, engine: Engine, access: MailAccess, ownership_map: OwnershipMap, public_url: str
    ) -> None:
        self._engine = engine
        self._access = access
        self._map = ownership_map
        self._public_url = public_url
        self._told = ""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            said = ""
            try:
                await asyncio.to_thread(self.look)
            except StoreUnavailableError as error:
                said = error.code
            except (smtplib.SMTPException, OSError) as error:
                # Its words may repeat an address or more: the name of the fault is enough to look at the server.
                said = type(error).__name__
            if said and said != self._told:
                telemetry.log("control.not_mailed", level="warning", error=said, server=self._access.host)
            self._told = said
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> int:
        """Send what is there, some at a time; how many were. Raises SMTPException, OSError for a server that is away.

        Written down right after each: cut off in between, one is sent again, under the same id.
        """
        with reading(self._engine) as connection, Session(connection) as session:
            left = [
                (notice, mailbox_of(notice.whom, self._map))
                for notice in not_mailed(session, now_ms() - WITHIN_MS, AT_ONCE)
            ]
            session.expunge_all()
        for notice, to in left:
            if to is None:
                self._note(notice, "nowhere", "neither a team's contact nor an address")
        addressed = [(notice, to) for notice, to in left if to is not None]
        if not addressed:
            return 0
        sent = 0
        with self._server() as server:
            for notice, to in addressed:
                sent += self._send(server, notice, to)
        return sent

    def _send(self, server: smtplib.SMTP, notice: Notice, to: str) -> bool:
        try:
            server.send_message(message_of(notice, to, self._access, self._public_url))
        except smtplib.SMTPRecipientsRefused as refused:
            self._refused(notice, *next(iter(refused.recipients.values())))
        except smtplib.SMTPSenderRefused:
            raise  # it is not the notice: the setting is wrong, or the server wants somebody to sign in
        except smtplib.SMTPResponseException as refused:
            self._refused(notice, refused.smtp_code, refused.smtp_error)
        else:
            self._note(notice, "sent", "")
            return True
        return False

    def _refused(self, notice: Notice, code: int, words: bytes | str) -> None:
        if code < PERMANENT:
            return  # it says: later
        said = words.decode(errors="replace") if isinstance(words, bytes) else words
        telemetry.log("control.mail_refused", level="warning", notice=notice.notice_id, smtp=code)
        self._note(notice, "refused", f"{code} {' '.join(said.split())}")

    def _note(self, notice: Notice, outcome: str, detail: str) -> None:
        with writing(self._engine) as connection, Session(connection) as session:
            mailed(session, notice.notice_id, outcome, detail, now_ms())
            session.flush()

    @contextmanager
    def _server(self) -> Iterator[smtplib.SMTP]:
        access, context = self._access, ssl.create_default_context(cafile=self._access.ca_file)
        server: smtplib.SMTP = (
            smtplib.SMTP_SSL(access.host, access.port, timeout=TIMEOUT_S, context=context)
            if access.encrypted
            else smtplib.SMTP(access.host, access.port, timeout=TIMEOUT_S)
        )
        with server:
            if not access.encrypted and not is_loopback(access.host):
                server.starttls(context=context)  # raises where the server cannot
            if access.username:
                server.login(access.username, access.password)
            yield server
