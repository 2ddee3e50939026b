"""The embedded Kafka, for real: who may do what, what survives, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from broker.embedded import jars as jars_module
from broker.embedded.errors import JarChecksumError, JarUnreachableError, StartError
from broker.embedded.files import free_port
from broker.embedded.jars import JarProgress, jars, load_lock
from broker.embedded.kafka import EmbeddedKafka

pytestmark = pytest.mark.integration


def make_topic(kafka: EmbeddedKafka, topic: str, writer: str) -> None:
    admin = kafka.admin()
    for made in admin.create_topics([NewTopic(topic, 2, 1)]).values():
        made.result(10)
    wishes = [
        AclBinding(
            kind, name, ResourcePatternType.LITERAL, f"User:{writer}", "*", operation, AclPermissionType.ALLOW
        )
        for kind, name, operation in (
            (ResourceType.TOPIC, topic, AclOperation.WRITE),
            (ResourceType.TOPIC, topic, AclOperation.READ),
            (ResourceType.GROUP, topic, AclOperation.READ),
        )
    ]
    for made in admin.create_acls(wishes).values():
        made.result(10)


def produce(settings: dict[str, str], topic: str, values: list[bytes]) -> list[KafkaError | None]:
    """What the broker said about each record."""
    said: list[KafkaError | None] = []
    producer = Producer({**settings, "log_level": 0, "message.timeout.ms": 5000})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: said.append(error))
    producer.flush(10)
    return said


def consume(settings: dict[str, str], topic: str, count: int) -> list[bytes]:
    consumer = Consumer({**settings, "group.id": topic, "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe([topic])
        values: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(values) < count and time.monotonic() < deadline:
            record = consumer.poll(0.5)
            if record is not None and record.error() is None:
                values.append(record.value())
        return sorted(values)
    finally:
        consumer.close()


def test_a_user_with_acls_writes_and_reads(kafka: EmbeddedKafka) -> None:
    make_topic(kafka, "embedded.roundtrip", "alice")
    settings = kafka.client_settings("alice")
    assert produce(settings, "embedded.roundtrip", [b"1", b"2"]) == [None, None]
    assert consume(settings, "embedded.roundtrip", 2) == [b"1", b"2"]


def test_a_foreign_principal_is_refused(kafka: EmbeddedKafka) -> None:
    # I7
    make_topic(kafka, "embedded.foreign", "alice")
    (said,) = produce(kafka.client_settings("mallory"), "embedded.foreign", [b"x"])
    assert said is not None
    assert said.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_wrong_password_is_refused(kafka: EmbeddedKafka) -> None:
    from confluent_kafka.admin import AdminClient

    settings = {**kafka.client_settings("alice"), "sasl.password": "wrong", "log_level": 0}
    with pytest.raises(KafkaException):
        AdminClient(settings).list_topics(timeout=2)


def test_secrets_are_readable_by_their_owner_only(kafka: EmbeddedKafka) -> None:
    kafka.credentials("alice")
    for name in ("credentials.json", "server.properties"):
        assert (kafka.data_dir / name).stat().st_mode & 0o077 == 0
    passwords = json.loads((kafka.data_dir / "credentials.json").read_text()).values()
    pid = kafka.status().pid
    assert pid is not None
    command = " ".join(psutil.Process(pid).cmdline())
    assert not any(password in command for password in passwords)


def test_restart_keeps_data_port_and_users_and_leaves_no_process(tmp_path: Path) -> None:
    kafka, again = EmbeddedKafka(tmp_path / "k"), EmbeddedKafka(tmp_path / "k")
    try:
        before = kafka.up()
        make_topic(kafka, "embedded.kept", "alice")
        assert produce(kafka.client_settings("alice"), "embedded.kept", [b"kept"]) == [None]
        assert kafka.down()
        assert before.pid is not None
        assert not psutil.pid_exists(before.pid)
        assert not kafka.down()
        assert not kafka.status().running

        after = again.up()  # another object on the same folder, as another command would be
        assert after.bootstrap == before.bootstrap
        assert consume(again.client_settings("alice"), "embedded.kept", 1) == [b"kept"]
        assert again.up().pid == after.pid  # up() of a running one changes nothing
        assert EmbeddedKafka(tmp_path / "k").down()
        again.down()  # collects its child, whom somebody else has ended
        assert after.pid is not None
        assert not psutil.pid_exists(after.pid)
    finally:
        again.down()
        kafka.down()


def test_kafka_does_not_outlive_the_process_it_is_tied_to(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib\n"
        "from broker.embedded.kafka import EmbeddedKafka\n"
        "with EmbeddedKafka(pathlib.Path(sys.argv[1]), heap_mib=256) as kafka:\n"
        "    print(kafka.status().pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "k")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        java = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        parent.wait(15)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.wait_procs([java], timeout=15)
        assert not java.is_running() or java.status() == psutil.STATUS_ZOMBIE


def test_a_taken_port_is_said_before_java_starts(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    taken = int(kafka.bootstrap.rsplit(":", 1)[1])
    with pytest.raises(StartError, match=f"port {taken} is taken") as caught:
        EmbeddedKafka(tmp_path / "k", port=taken).up()
    assert caught.value.code == "embedded-start"


def test_a_wrong_checksum_deletes_the_jar_and_says_so(tmp_path: Path) -> None:
    smallest = min(load_lock(), key=lambda jar: jar.size_bytes)
    wrong = dataclasses.replace(smallest, sha256="0" * 64)
    with pytest.raises(JarChecksumError, match=smallest.coordinate) as caught:
        jars(lock=[wrong], cache=tmp_path)
    assert caught.value.code == "embedded-jar-checksum"
    assert list((tmp_path / "jars").iterdir()) == []


def test_a_damaged_jar_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    smallest = min(load_lock(), key=lambda jar: jar.size_bytes)
    seen: list[JarProgress] = []
    (path,) = jars(lock=[smallest], cache=tmp_path, on_progress=seen.append)
    path.write_bytes(b"half a jar")
    jars(lock=[smallest], cache=tmp_path, on_progress=seen.append)
    jars(lock=[smallest], cache=tmp_path, on_progress=seen.append)
    assert [one.fetched for one in seen] == [True, True, False]
    assert path.stat().st_size == smallest.size_bytes


def test_an_unreachable_registry_says_what_where_and_what_to_do(tmp_path: Path) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(JarUnreachableError) as caught:
        jars(lock=load_lock()[:1], cache=tmp_path, registry_url=closed)
    said = str(caught.value)
    assert caught.value.code == "embedded-jar-unreachable"
    for part in (load_lock()[0].coordinate, closed, "SOLESOURCE_MAVEN_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        assert part in said


# jgo leaves the connection of an answer other than 200 to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_registry_without_the_jar_is_unreachable_too(tmp_path: Path) -> None:
    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is http.server's
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Empty)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        with pytest.raises(JarUnreachableError):
            jars(lock=load_lock()[:1], cache=tmp_path, registry_url=f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
        gc.collect()


def test_the_lock_names_kafka_and_its_log_binding() -> None:
    coordinates = {jar.coordinate for jar in load_lock(jars_module.LOCK_FILE)}
    assert "org.apache.kafka:kafka_2.13:4.1.0" in coordinates
    assert "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3" in coordinates
    assert len(coordinates) == 46
