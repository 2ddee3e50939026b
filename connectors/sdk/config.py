"""The configuration file of one connector: one YAML file per system; secrets only by reference.

Reads YAML and the secrets it names. What an adapter's own `settings` and `objects` mean is the adapter's.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.sdk.errors import ConfigInvalid

Model = TypeVar("Model", bound=BaseModel)
NAME = r"^[a-z][a-z0-9_-]{0,62}$"


class Section(BaseModel):
    """A mapping of the file in which unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretReference(Section):
    """Where a secret is: `{env: NAME}`, `{file: PATH}` or `{file: PATH, key: NAME}` in a JSON file."""

    env: str | None = None
    file: Path | None = None
    key: str | None = None

    def read(self, folder: Path) -> str:
        """The secret. Raises ConfigInvalid that names the place, never the content."""
        if (self.env is None) == (self.file is None):
            raise ConfigInvalid("a secret reference names either env or file")
        if self.env is not None:
            found = os.environ.get(self.env)
            if not found:
                msg = f"environment variable {self.env} is not set"
                raise ConfigInvalid(msg, "Set it for the connector's process.")
            return found
        path = folder / str(self.file)
        try:
            text = path.read_text("utf-8")
            return text.strip() if self.key is None else str(json.loads(text)[self.key])
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = f"no secret {self.key}" if isinstance(error, KeyError) else "cannot be read"
            msg = f"{path}: {what}"
            raise ConfigInvalid(msg, "Check the path, its permissions and the key.") from error


class KafkaSection(Section):
    """How to reach Kafka, signed in as the system."""

    bootstrap: str
    username: str
    password: SecretReference
    ca_file: Path | None = None
    """Given: TLS with this certificate authority. Absent: plain text, for loopback only."""


class ConnectorConfig(Section):
    """One system's connector."""

    system: str = Field(pattern=NAME)
    adapter: str
    kafka: KafkaSection
    contracts: Path
    """Folder with `registry.json` and the contracts."""
    store: Path
    """SQLite file of this connector, made if missing."""
    objects: dict[str, dict[str, Any]] = Field(min_length=1)
    settings: dict[str, Any] = Field(default_factory=dict)
    retries: int = Field(default=5, ge=0, le=100)
    """Tries after the first before an update is given up for review."""
    poll_interval_ms: int = Field(default=500, ge=10, le=3_600_000)
    """Pause after an empty read of the source."""
    batch_max: int = Field(default=500, ge=1, le=10_000)
    """Updates that the sink gives the adapter in one call; then it looks whether newer ones replace those that wait."""
    folder: Path = Field(default=Path(), exclude=True)
    """Set by `load_config`: where relative paths start."""


def load_config(path: Path) -> ConnectorConfig:
    """Read and check a connector's file. Raises ConfigInvalid with file, line and path of every fault."""
    try:
        text = path.read_text("utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        msg = f"{where}: not a readable YAML file ({type(error).__name__})"
        raise ConfigInvalid(msg) from error
    if not isinstance(document, dict):
        msg = f"{path}: a mapping is expected"
        raise ConfigInvalid(msg)
    try:
        config = ConnectorConfig.model_validate({**document, "folder": path.parent.resolve()})
    except ValidationError as error:
        faults = [f"{path}:{_line(tree, e['loc'])}: {_dotted(e['loc'])}: {e['msg']}" for e in error.errors()]
        raise ConfigInvalid("; ".join(faults)) from None  # pydantic's own text would show values
    return config


def checked(model: type[Model], document: Mapping[str, Any], where: str) -> Model:
    """An adapter's section as its model. Raises ConfigInvalid with the path of every fault, never a value."""
    try:
        return model.model_validate(dict(document))
    except ValidationError as error:
        faults = [f"{where}.{_dotted(e['loc'])}: {e['msg']}" for e in error.errors()]
        raise ConfigInvalid("; ".join(faults)) from None


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _line(tree: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Line of the deepest node of `location` that is in the file, from 1."""
    node, line = tree, 1
    for part in location:
        if not isinstance(node, yaml.MappingNode):
            break
        found = next(((k, v) for k, v in node.value if k.value == part), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
