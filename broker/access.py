"""How a process signs in, to Kafka or to a console: one credential, as the user it is.

Holds no connection and reads no file. The password is never part of a representation, a log line or an error.
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REQUEST_TIMEOUT_MS = 12_000
"""How long a request waits for a broker that is silent. Kafka gives such a one 9 s (`broker.session.timeout.ms`), and
with them up to 2 s until it notices: then the others lead what it led, and no longer wait for its copies. Less, and
requests that the others are about to answer are given up too."""


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Where Kafka is and who we are there; without a user name it is an open Kafka of a test."""

    bootstrap: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None
    """Given = TLS with this authority; none = a Kafka on loopback."""

    def client_options(self) -> dict[str, Any]:
        """Arguments for every aiokafka client."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
        }
        if self.ca_file is not None:
            options["ssl_context"] = ssl.create_default_context(cafile=self.ca_file)
        if not self.username:
            options["security_protocol"] = "SSL" if self.ca_file else "PLAINTEXT"
            return options
        return options | {
            "security_protocol": "SASL_SSL" if self.ca_file else "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }

    def librdkafka_options(self) -> dict[str, Any]:
        """Settings for every librdkafka client; its partitioner agrees with Java's only when told to."""
        options: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "partitioner": "murmur2_random",
            "log_level": 2,
            "socket.timeout.ms": REQUEST_TIMEOUT_MS,
            "socket.connection.setup.timeout.ms": REQUEST_TIMEOUT_MS,
        }
        if self.ca_file is not None:
            options["ssl.ca.location"] = self.ca_file
        if not self.username:
            return options | {"security.protocol": "SSL" if self.ca_file else "PLAINTEXT"}
        return options | {
            "security.protocol": "SASL_SSL" if self.ca_file else "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.username,
            "sasl.password": self.password,
        }


@dataclass(frozen=True, slots=True)
class MailAccess:
    """The mail server that takes notices, and as whom. Raises ValueError for an address that is none.

    `smtps://` is encrypted from the beginning; `smtp://` must become so (STARTTLS), except on loopback.
    """

    url: str
    sender: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None

    def __post_init__(self) -> None:
        place = urlsplit(self.url)
        if (
            place.scheme not in ("smtp", "smtps")
            or not place.hostname
            or place.port == 0
            or place.path.strip("/")
        ):
            msg = "a mail server is smtp:// or smtps://, a host and perhaps a port"
            raise ValueError(msg)
        if place.username is not None or place.password is not None:
            msg = "a mail server's address has no user in it: name it beside, and its password by reference"
            raise ValueError(msg)
        if "@" not in self.sender or not self.sender.isprintable() or " " in self.sender:
            msg = f"{self.sender!r} is no address to send from"
            raise ValueError(msg)

    @property
    def host(self) -> str:
        """Its name."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port; 465 or 587 where none is said (RFC 8314, RFC 6409)."""
        place = urlsplit(self.url)
        return place.port or (465 if place.scheme == "smtps" else 587)

    @property
    def encrypted(self) -> bool:
        """From the first byte on."""
        return urlsplit(self.url).scheme == "smtps"


@dataclass(frozen=True, slots=True)
class ConsoleAccess:
    """Where a console's API is, and the token by which it knows us.

    Raises ValueError, without showing it, for a token that is none, and for an address that is none or would send the
    token unencrypted to another machine.
    """

    url: str
    token: str = field(repr=False)
    token_file: Path
    ca_file: str | None = None
    """Authority of its certificate, where the machine does not know it."""

    def __post_init__(self) -> None:
        place = urlsplit(self.url)
        if place.scheme not in ("http", "https") or not place.hostname or place.port == 0:
            msg = "a console's address is https:// and a host"
            raise ValueError(msg)
        if place.username is not None or place.password is not None or place.query or place.fragment:
            msg = "a console's address has no user, no question mark and no # in it"
            raise ValueError(msg)
        if place.scheme == "http" and not self.on_loopback:
            msg = f"the token would go to {place.hostname} unencrypted: a console elsewhere is reached by https://"
            raise ValueError(msg)
        if not (self.token.isascii() and self.token.isprintable()) or not self.token or " " in self.token:
            msg = "a token is one line of letters"
            raise ValueError(msg)

    @property
    def on_loopback(self) -> bool:
        """Whether it is this very machine by its address; a name other than localhost could be any machine."""
        return is_loopback(urlsplit(self.url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine by its address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
