"""What the configuration of an adopter says: which topics, in which format, and what becomes which field."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from connectors.sdk.adapter import Context
from connectors.sdk.config import SecretReference, Section, checked
from connectors.sdk.errors import ConfigInvalid

PLACEHOLDER = "__debezium_unavailable_value"
"""What Debezium writes for a column that it could not read along (`unavailable.value.placeholder`)."""
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

Meaning = Literal[
    "text", "integer", "decimal", "boolean", "bytes", "date", "timestamp",
    "milliseconds", "microseconds", "nanoseconds",
]  # fmt: skip


class _SignIn(Section):
    """How to sign in to a service; without a user nobody does."""

    username: str | None = None
    password: SecretReference | None = None
    ca_file: Path | None = None
    """Certificate authority of TLS."""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.username is None) != (self.password is None):
            msg = "username and password are given together"
            raise ValueError(msg)
        return self


class RegistrySettings(_SignIn):
    """The schema registry of topics in Avro, with Confluent's API."""

    url: str


class AdoptSettings(_SignIn):
    """The `settings` section: the Kafka that has the topics; with a `ca_file` by TLS."""

    bootstrap: str
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    tls: bool = False
    records_max: int = Field(default=2000, ge=1, le=100_000)
    """Records read at a time."""
    registry: RegistrySettings | None = None

    @model_validator(mode="after")
    def _unseen(self) -> Self:
        near = all(place.strip().startswith(_LOOPBACK) for place in self.bootstrap.split(","))
        if self.username and self.mechanism == "PLAIN" and not (self.tls or self.ca_file or near):
            msg = "PLAIN would send the password unencrypted to another machine: set tls or ca_file"
            raise ValueError(msg)
        return self

    def options(self, folder: Path) -> dict[str, Any]:
        """Keyword arguments for a Kafka client. Raises ConfigInvalid when the secret is not there."""
        context = None
        if self.tls or self.ca_file:
            context = ssl.create_default_context(cafile=str(folder / self.ca_file) if self.ca_file else None)
        protocol = "SASL_" if self.password else ""
        found: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": protocol + ("SSL" if context else "PLAINTEXT"),
            "ssl_context": context,
        }
        if self.password:
            found |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.read(folder),
            }
        return found


class Part(Section):
    """Where a field's value comes from: a column, a constant or an expression; and what it means."""

    column: str | None = Field(default=None, alias="from", min_length=1)
    """A column of the row; `a.b` is b within a."""
    constant: Any = None
    expression: str | None = None
    """In CEL, over `row`, `key` and `event`."""
    meaning: Meaning | None = Field(default=None, alias="as")
    """What the topic does not say by itself; a type that Connect or Debezium names needs none."""
    scale: int | None = Field(default=None, ge=0, le=38)
    """With `as: decimal`: the text is base64 of the unscaled number, of so many decimal places."""
    enum: dict[str, Any] | None = None
    """What each value of the source becomes; any other one is held."""

    @model_validator(mode="after")
    def _one(self) -> Part:
        if sum(name in self.model_fields_set for name in ("column", "constant", "expression")) != 1:
            msg = "one of from, constant and expression"
            raise ValueError(msg)
        if self.scale is not None and self.meaning != "decimal":
            msg = "scale belongs to `as: decimal`"
            raise ValueError(msg)
        return self


def _short(given: Any) -> Any:
    return {"from": given} if isinstance(given, str) else given


Column = Annotated[Part, BeforeValidator(_short)]


class TopicMapping(Section):
    """One entry of `objects`: the topic of an object, and how its records are changes."""

    topic: str = Field(min_length=1, max_length=249)
    format: Literal["debezium", "debezium-avro", "json", "avro", "cloudevents"]
    """Rows in JSON or Avro, or Debezium's envelope around them; Avro with a schema's id, as Confluent writes it."""
    mapping: int = Field(ge=1, le=0xFFFF)
    """Version of this mapping: raised with every change of it, and part of every change's version."""
    key: Column | None = None
    """Default: Kafka's key, or its only column."""
    fields: dict[str, Column] = Field(min_length=1)
    """Field of the contract -> where it comes from."""
    only: str | None = None
    """An expression; records for which it is false are passed over."""
    deleted: str | None = None
    """An expression; where it is true the record is gone. Empty values and Debezium's deletes always say so."""
    before_is_whole: bool = False
    """The images before a change hold every column (REPLICA IDENTITY FULL): only what differs is told."""
    placeholder: str = PLACEHOLDER
    json_schema: Path | None = None
    """A JSON Schema that every row must keep to."""
    start: Literal["beginning", "end"] = "beginning"
    incarnation: int = Field(default=0, ge=0)
    """Raised when the topic or its database was made again, and this is recorded with `solesource source-reset`."""

    @property
    def is_avro(self) -> bool:
        """Whether a registry is asked for the schemas of its records."""
        return self.format in ("avro", "debezium-avro")

    @model_validator(mode="after")
    def _for_json(self) -> TopicMapping:
        if self.is_avro and self.json_schema is not None:
            msg = "json_schema is for JSON; a value in Avro keeps to its own schema"
            raise ValueError(msg)
        return self

    def digest(self) -> str:
        """Tells one mapping from another one; where reading starts is not part of it."""
        text = self.model_dump_json(exclude={"start", "mapping", "incarnation"}, by_alias=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def mappings_of(context: Context) -> Mapping[str, TopicMapping]:
    """The checked `objects` section. Raises ConfigInvalid, also for fields not in the contract."""
    found: dict[str, TopicMapping] = {}
    for name, document in context.objects.items():
        mapping = checked(TopicMapping, document, f"objects.{name}")
        context.require_fields(name, mapping.fields)
        if mapping.is_avro and not context.settings.get("registry"):
            msg = f"objects.{name}.format: {mapping.format} needs the registry of its schemas"
            raise ConfigInvalid(msg, "Name it in settings.registry: `{url: ...}`.")
        if any(mapping.topic == other.topic for other in found.values()):
            msg = f"objects.{name}.topic: {mapping.topic} is told as another object already"
            raise ConfigInvalid(msg, "One topic is one object; split it with two connectors and `only`.")
        found[name] = mapping
    return found
