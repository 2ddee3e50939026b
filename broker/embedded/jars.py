"""Kafka's jars: fetched one by one from the Maven registry as the committed lock names them, and verified.

Nothing is resolved at run time: `kafka_jars.json` lists every coordinate with size and sha256.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from broker.embedded.errors import JarChecksumError, JarUnreachableError, PartMissingError
from broker.embedded.files import cache_dir

LOCK_FILE = Path(__file__).with_name("kafka_jars.json")
FETCH_THREADS = 12
FETCH_ATTEMPTS = 3
FETCH_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    coordinate: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


@dataclass(frozen=True, slots=True)
class JarProgress:
    """Told once per jar that is in place: `index` of `total`, and whether it had to be fetched."""

    jar: Jar
    index: int
    total: int
    fetched: bool


OnProgress = Callable[[JarProgress], None]


def load_lock(lock_file: Path = LOCK_FILE) -> tuple[Jar, ...]:
    document = json.loads(lock_file.read_text(encoding="utf-8"))
    return tuple(Jar(row["coordinate"], row["size"], row["sha256"]) for row in document["jars"])


def jars(
    *,
    lock: Sequence[Jar] | None = None,
    cache: Path | None = None,
    on_progress: OnProgress | None = None,
    registry_url: str | None = None,
) -> list[Path]:
    """Paths of all jars, fetched if need be, every one verified now.

    `registry_url` (or SOLESOURCE_MAVEN_URL) replaces Maven Central, for a mirror. Raises JarUnreachableError,
    JarChecksumError, PartMissingError.
    """
    wanted = load_lock() if lock is None else tuple(lock)
    folder = (cache or cache_dir()) / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    registry_url = registry_url or os.environ.get("SOLESOURCE_MAVEN_URL")
    done = 0

    def place(jar: Jar) -> tuple[Jar, bool]:
        target = folder / jar.file_name
        if target.exists() and _sha256(target) == jar.sha256:
            return jar, False
        # Damaged on disk, or never here: fetched anew either way.
        target.unlink(missing_ok=True)
        _fetch(jar, target, registry_url)
        return jar, True

    with ThreadPoolExecutor(FETCH_THREADS, thread_name_prefix="jars") as threads:
        try:
            for jar, fetched in threads.map(place, wanted):
                done += 1
                if on_progress:
                    on_progress(JarProgress(jar, done, len(wanted), fetched))
        except BaseException:
            # Also on Ctrl-C: do not start the downloads that are still waiting.
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return [folder / jar.file_name for jar in wanted]


def _fetch(jar: Jar, target: Path, registry_url: str | None) -> None:
    """Fetch into a private folder, verify, then move: another process never sees a part of a jar."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as draft_dir:
        draft = _download(jar, Path(draft_dir), registry_url)
        found = _sha256(draft)
        if found != jar.sha256:
            raise JarChecksumError(
                f"{jar.coordinate} from {registry_url or 'Maven Central'} has sha256 {found}, but "
                f"{LOCK_FILE.name} names {jar.sha256}. The file was deleted and is not used. If you use a "
                "mirror, compare its copy with Maven Central's; otherwise do not go on."
            )
        draft.replace(target)


def _download(jar: Jar, folder: Path, registry_url: str | None) -> Path:
    try:
        from jgo.maven import MavenContext, PythonResolver
        from requests import RequestException
    except ImportError as error:
        raise PartMissingError(
            "Kafka's jars are fetched by jgo, which is not installed: pip install 'solesource[demo]', "
            "or set KAFKA_BOOTSTRAP_SERVERS to use a Kafka of your own."
        ) from error
    remote = {"central": registry_url.rstrip("/")} if registry_url else None
    context = MavenContext(
        repo_cache=folder, resolver=PythonResolver(), remote_repos=remote, timeout=FETCH_TIMEOUT_S
    )
    group, artifact, version = jar.coordinate.split(":")
    last: Exception | None = None
    for attempt in range(FETCH_ATTEMPTS):
        time.sleep(attempt * 0.5)
        for leftover in folder.rglob("*.jar"):
            leftover.unlink()
        try:
            return Path(context.project(group, artifact).at_version(version).artifact().resolve())
        except (RequestException, RuntimeError, OSError) as error:
            last = error
    where = registry_url or "Maven Central (https://repo.maven.apache.org/maven2)"
    raise JarUnreachableError(
        f"Cannot fetch {jar.coordinate} from {where} ({FETCH_ATTEMPTS} attempts; {type(last).__name__}). "
        "Check the network and HTTPS_PROXY; or set SOLESOURCE_MAVEN_URL to a mirror, SOLESOURCE_CACHE to a "
        "cache filled elsewhere, or KAFKA_BOOTSTRAP_SERVERS to a Kafka of your own."
    ) from last


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
