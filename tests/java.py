"""Java counterparts: their jars by jgo, their few lines of ours compiled by the javac of this machine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jgo.maven import Dependency, MavenContext, PythonResolver

CACHE = Path.home() / ".cache" / "solesource" / "bench-jars"
Coordinate = tuple[str, str, str]
"""Group, artifact, version."""


def available() -> bool:
    """Whether this machine can compile Java."""
    return shutil.which("javac") is not None and shutil.which("java") is not None


def jars(*wanted: Coordinate) -> str:
    """The class path of some artifacts and of all that they need."""
    context = MavenContext(repo_cache=CACHE, resolver=PythonResolver())
    named = [
        Dependency(context.project(group, name).at_version(version).artifact())
        for group, name, version in wanted
    ]
    _, needed = context.resolver.resolve(named)
    artifacts = [dependency.artifact for dependency in (*named, *needed)]
    return ":".join(dict.fromkeys(str(artifact.resolve()) for artifact in artifacts))


@contextmanager
def compiled(source: Path, *wanted: Coordinate) -> Iterator[str]:
    """The class path of a program of one file and of what it needs."""
    needed = jars(*wanted)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["javac", "-cp", needed, "-d", folder, str(source)], check=True)  # noqa: S607 - of this machine
        yield f"{needed}:{folder}"
