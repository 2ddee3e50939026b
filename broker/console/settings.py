"""What the console needs to know to start. Plain facts, no file is read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from broker.access import KafkaAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """All that the console needs."""

    kafka: KafkaAccess
    """As the user `console`."""
    database_url: str
    users_file: Path
    audit_key: Path
    """The key that signs what is decided; made where there is none."""
    anchors: Path
    """The file of its signatures."""
    host: str = "127.0.0.1"
    port: int = 8088
    public_url: str | None = None
    """How browsers reach it when a proxy stands before it (`https://...` makes cookies Secure)."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """System name to what people call it."""

    @property
    def base_url(self) -> str:
        """Where browsers find the console, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over TLS only."""
        return self.base_url.startswith("https://")

    @property
    def hosts(self) -> frozenset[str]:
        """Values of the Host header that are answered; anything else could be a rebound name."""
        here = {f"{name}:{self.port}" for name in (self.host, "127.0.0.1", "localhost")}
        return frozenset({*here, urlsplit(self.base_url).netloc})
