"""`solesource map acls`: what is written is what Kafka holds, as Kafka's own tool and Strimzi's form have it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import KafkaException, Producer
from typer.testing import CliRunner

from broker.cli.acls import strimzi
from broker.cli.output import CommandRefused
from broker.cli.root import app
from broker.embedded.kafka import EmbeddedKafka
from broker.kafka.admin import acls_of, differing_acls, make_topics, make_users
from broker.rules import rules_of
from broker.topics import plan
from tests import java
from tests.estate import MAP_DIR, Estate, estate_of, map_documents

pytestmark = pytest.mark.integration
KAFKA_TOOLS = ("org.apache.kafka", "kafka-tools", "4.1.0")
OPERATIONS = {
    "Read",
    "Write",
    "Create",
    "Delete",
    "Alter",
    "Describe",
    "ClusterAction",
    "AlterConfigs",
    "DescribeConfigs",
    "IdempotentWrite",
    "All",
}
"""As Strimzi's reference of AclRule lists them."""


def written(*arguments: str) -> str:
    said = CliRunner().invoke(app, ["map", "acls", str(MAP_DIR), *arguments])
    assert said.exit_code == 0, said.output
    return said.stdout


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    yield from estate_of(tmp_path_factory.mktemp("acls"))


def test_what_is_written_is_what_kafka_holds(estate: Estate) -> None:
    rows = json.loads(written("--format", "json"))
    law = rules_of(map_documents(), 1).ownership_map
    assert len(rows) == len(acls_of(law)) and differing_acls(estate.kafka.admin(), law) == ([], [])
    assert {row["principal"] for row in rows} == {
        f"User:{name}" for name in (*law.systems, "gate", "control", "console")
    }
    mine = [row for row in rows if row["principal"] == "User:crm" and row["operation"] == "Write"]
    assert sorted(row["name"] for row in mine) == ["acks.crm", "changes.crm.customer"]


def test_what_somebody_changed_by_hand_is_found(estate: Estate) -> None:
    law = rules_of(map_documents(), 1).ownership_map
    admin = estate.kafka.admin()
    taken = next(
        one for one in acls_of(law) if one.principal == "User:crm" and one.name == "changes.crm.customer"
    )
    given = rules_of({**map_documents(), "customer.yaml": with_billing()}, 1).ownership_map
    (more,) = [
        one for one in acls_of(given) if one not in acls_of(law) and one.name == "authoritative.customer"
    ]
    from broker.kafka.admin import _exactly

    for done in (*admin.delete_acls([_exactly(taken)]).values(), *admin.create_acls([more]).values()):
        done.result(20)
    assert differing_acls(admin, law) == ([taken], [more])
    environment = {**estate.environment(), "SOLESOURCE_CREDENTIALS_FILE": str(estate.all_credentials())}
    found = json.loads(CliRunner().invoke(app, ["doctor", "--json"], env=environment).stdout)
    (rights,) = [one for one in found if one["check"] == "rights"]
    assert rights["result"] == "ATTENTION" and "1 rights are missing and 1 are too many" in rights["detail"]
    assert "User:billing READ authoritative.customer, User:crm WRITE changes.crm.customer" in rights["detail"]
    assert CliRunner().invoke(app, ["prepare"], env=environment).exit_code == 0
    assert differing_acls(admin, law) == ([], [])


def with_billing() -> str:
    return map_documents()["customer.yaml"].replace(
        "  crm: {read: all}", "  crm: {read: all}\n  billing: {read: all}"
    )


def test_strimzi_gets_a_user_for_each_principal_in_the_form_of_its_reference() -> None:
    documents = list(yaml.safe_load_all(written("--format", "strimzi", "--cluster", "mine")))
    assert [one["metadata"]["name"] for one in documents] == [
        "billing",
        "console",
        "control",
        "crm",
        "erp",
        "gate",
    ]
    count = 0
    for document in documents:
        assert (document["apiVersion"], document["kind"]) == ("kafka.strimzi.io/v1beta2", "KafkaUser")
        assert document["metadata"]["labels"] == {"strimzi.io/cluster": "mine"}
        assert document["spec"]["authentication"] == {"type": "scram-sha-512"}
        assert document["spec"]["authorization"]["type"] == "simple"
        for rule in document["spec"]["authorization"]["acls"]:
            count += 1
            assert rule.keys() == {"resource", "operations", "host"} and set(rule["operations"]) <= OPERATIONS
            resource: dict[str, Any] = rule["resource"]
            if resource["type"] == "cluster":
                assert resource.keys() == {"type"}
            else:
                assert resource["type"] in ("topic", "group", "transactionalId")
                assert resource["patternType"] in ("literal", "prefix") and resource["name"]
    assert count == len(acls_of(rules_of(map_documents(), 1).ownership_map))


def test_a_name_that_kubernetes_does_not_take_is_refused() -> None:
    renamed = {
        name: text.replace("billing", "bil_ling") if name.endswith(".yaml") else text
        for name, text in map_documents().items()
    }
    with pytest.raises(CommandRefused, match=r"bil_ling .*\[acls.name\]"):
        strimzi(acls_of(rules_of(renamed, 1).ownership_map), "mine")


# --- Kafka's own tool


@pytest.mark.counterpart
@pytest.mark.timeout(600)
def test_kafkas_own_tool_takes_every_command_and_the_walls_stand(tmp_path: Path) -> None:
    """The commands run as they are written, by the class that `kafka-acls.sh` runs."""
    class_path = java.jars(KAFKA_TOOLS)
    law = rules_of(map_documents(), 1).ownership_map
    with EmbeddedKafka(tmp_path / "kafka", brief=True) as kafka:
        admin = kafka.admin()
        make_topics(admin, list(plan(law, partitions=1, slots=1)))
        make_users(admin, {name: kafka.credentials(name) for name in ("crm", "erp")})
        assert len(differing_acls(admin, law)[0]) == len(acls_of(law)), "nothing is let yet"
        script = tmp_path / "bin" / "kafka-acls.sh"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\nexec java -cp "{class_path}" org.apache.kafka.tools.AclCommand "$@"\n')
        script.chmod(0o755)
        signs_in = tmp_path / "admin.properties"
        signs_in.write_text(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\n"
            "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "
            f'username="admin" password="{kafka.credentials("admin")}";\n'
        )
        environment = {
            **os.environ,
            "PATH": f"{script.parent}:{os.environ['PATH']}",
            "BOOTSTRAP": kafka.bootstrap,
            "ADMIN": str(signs_in),
        }
        done = subprocess.run(
            ["/bin/bash", "-e"],
            input=written(),
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert differing_acls(admin, law) == ([], [])
        assert said_to(kafka, "crm", "changes.crm.customer") is None
        assert said_to(kafka, "erp", "changes.crm.customer") == "TOPIC_AUTHORIZATION_FAILED"
        assert said_to(kafka, "crm", "authoritative.customer") == "TOPIC_AUTHORIZATION_FAILED"


def said_to(kafka: EmbeddedKafka, user: str, topic: str) -> str | None:
    """What Kafka says to a user who writes to a topic."""
    said: list[str | None] = []
    producer = Producer({**kafka.client_settings(user), "log_level": 0, "message.timeout.ms": 10_000})
    try:
        producer.produce(
            topic, b"x", on_delivery=lambda error, _: said.append(error.name() if error else None)
        )
    except KafkaException as error:
        return str(error.args[0].name())
    producer.flush(20)
    return said[0]
