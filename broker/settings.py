"""Settings of the broker's processes: the only reader of the environment. Secrets come by reference, never by value.

Every setting is an environment variable SOLESOURCE_<NAME>; a given KAFKA_BOOTSTRAP_SERVERS is used instead of the
embedded Kafka.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from broker.access import ConsoleAccess, KafkaAccess, MailAccess
from broker.clock import now_ms
from schemas.remote import RemoteRegistry

MASK_KEY_LENGTH_MIN = 16


class SettingsRefused(Exception):
    """A setting is missing or cannot be used; the message says which, and what to do."""

    code = "settings.refused"


class Settings(BaseSettings):
    """What a process of the broker is told from outside."""

    model_config = SettingsConfigDict(env_prefix="SOLESOURCE_", extra="ignore")

    home: Path = Field(default=Path("var"), description="Folder of everything that is kept on this machine.")
    bootstrap: Annotated[str, Field(validation_alias="KAFKA_BOOTSTRAP_SERVERS")] = ""
    kafka_ca_file: str | None = Field(
        default=None, description="Authority of Kafka's certificate; given = TLS."
    )
    credentials_file: Path | None = Field(
        default=None, description="JSON file of user to password, readable by its owner alone."
    )
    map_dir: Path | None = Field(default=None, description="Folder of the ownership map and its contracts.")
    partitions: int = Field(
        default=4, ge=1, le=1024, description="Partitions of topics of objects whose map says none; fixed."
    )
    slots: int = Field(
        default=16, ge=1, le=256, description="Units of work that the gate's workers divide; fixed."
    )
    states_in_memory: int = Field(
        default=600_000,
        ge=1000,
        description="Values that a worker of the gate keeps in memory beside those on disk.",
    )
    replicas: int = Field(default=1, ge=1, le=7, description="Copies of each topic that is made.")
    database_url: str = Field(default="", description="Read models; empty = SQLite below home.")
    host: str = Field(default="127.0.0.1", description="Where web pages are served.")
    console_port: int = Field(default=8080, ge=0, le=65535)
    control_port: int = Field(
        default=9464, ge=0, le=65535, description="Health and metrics of control; 0 = any."
    )
    gate_port: int = Field(
        default=9465, ge=0, le=65535, description="Health and metrics of the gate; 0 = any."
    )
    registry_url: str = Field(
        default="", description="The company's schema registry: control asks it about ids that nobody knows."
    )
    registry_user: str = Field(
        default="", description="Who asks it; the password stands under this name in the credentials."
    )
    registry_ca_file: str | None = Field(default=None, description="Authority of the registry's certificate.")
    approvals: Literal["required", "off"] = Field(
        default="required",
        description="Whether `map apply` asks for an approved change request; off is for one person on one machine.",
    )
    audit_key_file: Path | None = Field(
        default=None, description="Key that signs the audit; made below home where there is none."
    )
    audit_anchors: Path | None = Field(
        default=None, description="File of the audit's signatures, best on a disk of another machine."
    )
    users_file: Path | None = Field(default=None, description="People who may sign in to the console.")
    mail_server: str = Field(
        default="",
        description="smtp:// or smtps://: control mails notices by it; empty = they stand in the console.",
    )
    mail_from: str = Field(default="", description="Address that they come from.")
    mail_user: str = Field(default="", description="Who signs in there; empty = nobody does.")
    mail_password_file: Path | None = Field(default=None, description="File of the password.")
    mail_ca_file: str | None = Field(default=None, description="Authority of that server's certificate.")
    console_public_url: str = Field(
        default="", description="How browsers and programs reach the console when a proxy stands before it."
    )
    console_url: str = Field(
        default="",
        description="A console: `request`, `waiver` and `review` speak to its API instead of the database.",
    )
    console_token_file: Path | None = Field(
        default=None, description="File of the token by which it knows who speaks."
    )
    console_ca_file: str | None = Field(default=None, description="Authority of that console's certificate.")

    @property
    def embedded_kafka_dir(self) -> Path:
        """Where the embedded Kafka keeps its files."""
        return self.home / "kafka"

    @property
    def credentials_path(self) -> Path:
        """The file of Kafka credentials."""
        return self.credentials_file or self.embedded_kafka_dir / "credentials.json"

    @property
    def users_path(self) -> Path:
        """The file of the console's people."""
        return self.users_file or self.home / "users.json"

    @property
    def sqlite_path(self) -> Path:
        """The database's file where no other database is named."""
        return self.home / "solesource.db"

    @property
    def store_url(self) -> str:
        """The read models' database."""
        return self.database_url or f"sqlite:///{self.sqlite_path}"

    @property
    def audit_key_path(self) -> Path:
        """The key that signs the audit."""
        return self.audit_key_file or self.home / "audit" / "key.pem"

    @property
    def anchors_path(self) -> Path:
        """The file of the audit's signatures."""
        return self.audit_anchors or self.home / "audit" / "anchors.jsonl"

    def password(self, user: str) -> str:
        """The password of a Kafka user. Raises SettingsRefused without showing any."""
        try:
            passwords = json.loads(self.credentials_path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            msg = (
                f"the Kafka credentials cannot be read from {self.credentials_path} [settings.credentials] "
                "Run `solesource kafka up`, or set SOLESOURCE_CREDENTIALS_FILE."
            )
            raise SettingsRefused(msg) from error
        if user not in passwords:
            msg = f"{self.credentials_path} has no password of {user} [settings.credentials] Add it."
            raise SettingsRefused(msg)
        return str(passwords[user])

    def mask_key(self, number: int) -> bytes:
        """The key for the digests of masked fields. Raises SettingsRefused when it is not there, or is too short."""
        key = self.password(f"mask-key-{number}").encode()
        if len(key) < MASK_KEY_LENGTH_MIN:
            msg = (
                f"mask-key-{number} in {self.credentials_path} has {len(key)} bytes [settings.mask_key] "
                f"Give it at least {MASK_KEY_LENGTH_MIN}: whoever guesses it can try values."
            )
            raise SettingsRefused(msg)
        return key

    def access(self, user: str) -> KafkaAccess:
        """How `user` signs in to Kafka. Raises SettingsRefused when it is not known where Kafka is."""
        if not self.bootstrap:
            msg = (
                "it is not known where Kafka is [settings.bootstrap] "
                "Set KAFKA_BOOTSTRAP_SERVERS, or use `solesource up`."
            )
            raise SettingsRefused(msg)
        return KafkaAccess(self.bootstrap, user, self.password(user), self.kafka_ca_file)

    def registry(self) -> RemoteRegistry | None:
        """The company's schema registry; None where none is named. Raises SettingsRefused."""
        if not self.registry_url:
            return None
        user = self.registry_user
        try:
            return RemoteRegistry(
                self.registry_url,
                now_ms,
                credentials=(user, self.password(user)) if user else None,
                ca_file=self.registry_ca_file,
            )
        except ValueError as error:
            msg = f"{error} [settings.registry] Mend SOLESOURCE_REGISTRY_URL."
            raise SettingsRefused(msg) from error

    def mail(self) -> MailAccess | None:
        """The mail server for notices; None where none is named. Raises SettingsRefused without any password."""
        if not self.mail_server:
            return None
        path = self.mail_password_file
        remedy = "[settings.mail] Mend SOLESOURCE_MAIL_PASSWORD_FILE."
        password = "" if path is None else _secret_in(path, "password", remedy)
        try:
            return MailAccess(self.mail_server, self.mail_from, self.mail_user, password, self.mail_ca_file)
        except ValueError as error:
            msg = f"{error} [settings.mail] Mend SOLESOURCE_MAIL_SERVER and SOLESOURCE_MAIL_FROM."
            raise SettingsRefused(msg) from error

    def console(self) -> ConsoleAccess | None:
        """The console to speak to, and as whom; None where none is named. Raises SettingsRefused without any token."""
        if not self.console_url:
            return None
        path = self.console_token_file
        if path is None:
            msg = (
                "there is no token for the console [settings.console_token] Have one made with `solesource user token "
                "NAME`, and name its file in SOLESOURCE_CONSOLE_TOKEN_FILE."
            )
            raise SettingsRefused(msg)
        remedy = "[settings.console_token] Mend SOLESOURCE_CONSOLE_TOKEN_FILE."
        token = _secret_in(path, "token", remedy)
        try:
            return ConsoleAccess(self.console_url, token, path, self.console_ca_file)
        except ValueError as error:
            msg = f"{error} [settings.console] Mend SOLESOURCE_CONSOLE_URL, or the file of its token."
            raise SettingsRefused(msg) from error

    def map_documents(self) -> dict[str, str]:
        """The ownership map's files by name. Raises SettingsRefused when there are none."""
        folder = self.map_dir
        if folder is None or not folder.is_dir():
            msg = f"there is no ownership map in {folder} [settings.map_dir] Set SOLESOURCE_MAP_DIR to its folder."
            raise SettingsRefused(msg)
        return {
            path.name: path.read_text("utf-8")
            for path in sorted(folder.iterdir())
            if path.suffix in (".yaml", ".avsc", ".json")
        }


def _secret_in(path: Path, what: str, remedy: str) -> str:
    """A secret that is the whole of a file. Raises SettingsRefused."""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the {what} cannot be read from {path} {remedy}"
        raise SettingsRefused(msg) from error
