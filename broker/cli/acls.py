"""`solesource map acls`: the rights that the map means on Kafka, for who sets them with other tools."""

import re
import shlex
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from confluent_kafka.admin import AclBinding, AclOperation, ResourcePatternType, ResourceType

from broker.cli.files import settings_of
from broker.cli.maps import Folder
from broker.cli.output import CommandRefused, show
from broker.kafka.admin import acls_of
from broker.rules import rules_of


class Format(StrEnum):
    """Whose tool reads it."""

    CLI = "cli"
    STRIMZI = "strimzi"
    JSON = "json"


_OPTIONS = {
    ResourceType.TOPIC: "--topic",
    ResourceType.GROUP: "--group",
    ResourceType.TRANSACTIONAL_ID: "--transactional-id",
    ResourceType.BROKER: "--cluster",
}
_STRIMZI = {
    ResourceType.TOPIC: "topic",
    ResourceType.GROUP: "group",
    ResourceType.TRANSACTIONAL_ID: "transactionalId",
    ResourceType.BROKER: "cluster",
}
_DNS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?").fullmatch


def acls(
    folder: Folder = None,
    form: Annotated[Format, typer.Option("--format", help="`cli`, `strimzi` or `json`.")] = Format.CLI,
    cluster: Annotated[str, typer.Option(help="Name of the Kafka cluster, for Strimzi.")] = "kafka",
) -> None:
    """Write the rights that the map means on Kafka: what `map apply` sets, for other tools."""
    bindings = acls_of(rules_of(settings_of(folder).map_documents(), 0).ownership_map)
    if form is Format.JSON:
        show([_row(one) for one in bindings], as_json=True)
    elif form is Format.STRIMZI:
        typer.echo(strimzi(bindings, cluster), nl=False)
    else:
        typer.echo("\n".join(_command(one) for one in bindings))


def _operation(operation: AclOperation) -> str:
    """`DescribeConfigs` of DESCRIBE_CONFIGS: as Kafka's tools and Strimzi spell it."""
    return "".join(part.capitalize() for part in operation.name.split("_"))


def _row(one: AclBinding) -> dict[str, Any]:
    return {
        "principal": one.principal,
        "resource": _STRIMZI[one.restype],
        "name": one.name,
        "pattern": one.resource_pattern_type.name.lower(),
        "operation": _operation(one.operation),
        "host": one.host,
    }


def _command(one: AclBinding) -> str:
    option = _OPTIONS[one.restype]
    words = [
        *(
            "kafka-acls.sh",
            "--bootstrap-server",
            "$BOOTSTRAP",
            "--command-config",
            "$ADMIN",
            "--add",
            "--force",
        ),
        *("--allow-principal", one.principal, "--operation", _operation(one.operation)),
        *([option] if option == "--cluster" else [option, one.name]),
    ]
    if one.resource_pattern_type is ResourcePatternType.PREFIXED:
        words += ["--resource-pattern-type", "prefixed"]
    return " ".join(word if word.startswith("$") else shlex.quote(word) for word in words)


def strimzi(bindings: Sequence[AclBinding], cluster: str) -> str:
    """A KafkaUser for each principal. Raises CommandRefused for a name that Kubernetes does not take."""
    documents = []
    for principal in sorted({one.principal for one in bindings}):
        name = principal.removeprefix("User:")
        if not _DNS(name):
            msg = f"{name} cannot be the name of a KafkaUser [acls.name] Name the system without `_`."
            raise CommandRefused(msg)
        rules = [
            {
                "resource": {"type": _STRIMZI[one.restype]}
                if one.restype is ResourceType.BROKER
                else {
                    "type": _STRIMZI[one.restype],
                    "name": one.name,
                    "patternType": {"PREFIXED": "prefix"}.get(one.resource_pattern_type.name, "literal"),
                },
                "operations": [_operation(one.operation)],
                "host": one.host,
            }
            for one in bindings
            if one.principal == principal
        ]
        documents.append(
            {
                "apiVersion": "kafka.strimzi.io/v1beta2",
                "kind": "KafkaUser",
                "metadata": {"name": name, "labels": {"strimzi.io/cluster": cluster}},
                "spec": {
                    "authentication": {"type": "scram-sha-512"},
                    "authorization": {"type": "simple", "acls": rules},
                },
            }
        )
    return yaml.safe_dump_all(documents, sort_keys=False)
