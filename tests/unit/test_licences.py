"""What a user installs unasked is under permissive licences, without exception (docs/decisions/0005).

Also: pyproject.toml asks for exactly what the locks were made from.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"

# Words in which permissive licences call themselves, as SPDX expression, as free text or as a classifier.
PERMISSIVE = re.compile(
    r"\b(MIT(-0|-CMU)?|[0-3]-Clause|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|Python-2\.0|Unlicense|"
    r"CNRI-Python|HPND|Zlib|CC0-1\.0|Public Domain)\b",
    re.IGNORECASE,
)
RESTRICTIVE = re.compile(
    r"GPL|General Public|MPL|Mozilla|EPL|CDDL|SSPL|BUSL|Commons Clause|Proprietary", re.IGNORECASE
)


def locked(name: str) -> set[str]:
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    return {
        re.split(r"[=\[]", line)[0]
        for line in text.splitlines()
        if re.match(r"[a-z0-9]", line, re.IGNORECASE)
    }


def asked(name: str) -> set[str]:
    lines = (REQUIREMENTS / f"{name}.in").read_text().splitlines()
    own = {line.replace('"', "'") for line in lines if line and not line.startswith(("#", "-r"))}
    nested = [line.removeprefix("-r ").removesuffix(".in") for line in lines if line.startswith("-r ")]
    return own.union(*(asked(one) for one in nested))


def licence_words(distribution: str) -> str:
    metadata = importlib.metadata.metadata(distribution)
    expression = metadata.get("License-Expression")
    if expression:
        return str(expression)
    classifiers = [line for line in metadata.get_all("Classifier", []) if line.startswith("License ::")]
    # Some put the whole text into the field: its beginning names it.
    return " | ".join([*classifiers, str(metadata.get("License", ""))[:200]])


def installed(names: set[str]) -> set[str]:
    """Those of the lock that this platform and Python install (markers leave some out)."""
    return {name for name in names if _is_installed(name)}


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.parametrize("lock", ["sdk", "base"])
def test_every_installed_distribution_is_permissive(lock: str) -> None:
    names = installed(locked(lock))
    assert len(names) > 0.9 * len(locked(lock))  # the check looked at something
    found = {name: licence_words(name) for name in names}
    wrong = {name: words for name, words in found.items() if not _permissive(words)}
    assert wrong == {}


def _permissive(words: str) -> bool:
    """An OR with a permissive side is permissive; anything restrictive beside an AND is not."""
    sides = re.split(r"\bOR\b", words)
    return any(PERMISSIVE.search(side) and not RESTRICTIVE.search(side) for side in sides)


def test_what_is_not_permissive_is_only_where_it_is_asked_for() -> None:
    apart = {"psycopg": "demo", "psycopg-binary": "demo", "pathspec": "build"}
    for name, lock in apart.items():
        assert not _permissive(licence_words(name))  # or it may come back
        assert name in locked(lock)
        assert name not in locked("sdk") | locked("base")


@pytest.mark.parametrize(
    ("words", "permissive"),
    [
        ("MIT", True),
        ("BSD-3-Clause", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-2.0-or-later OR Apache-2.0", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", False),
        ("Apache-2.0 AND MPL-2.0", False),
        ("", False),
    ],
)
def test_the_check_bites(words: str, permissive: bool) -> None:
    assert _permissive(words) is permissive


def test_the_gpl_environment_is_apart() -> None:
    ours = locked("dev")
    assert not any(name.startswith("trytond") for name in ours)
    assert any(name.startswith("trytond") for name in locked("tryton"))


def test_every_locked_distribution_has_a_hash() -> None:
    for lock in REQUIREMENTS.glob("*.txt"):
        blocks = re.split(r"\n(?=[a-zA-Z0-9])", lock.read_text())
        for block in blocks[1:]:
            assert "--hash=sha256:" in block, f"{lock.name}: {block.splitlines()[0]}"


def test_pyproject_asks_for_what_the_locks_were_made_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["dependencies"]) == asked("base")
    demo_only = asked("demo") - asked("base")
    assert set(project["optional-dependencies"]["demo"]) == demo_only
    assert set(project["optional-dependencies"]["postgres"]) <= demo_only
    assert [re.split(r"\W", one)[0] for one in build_requires()] == sorted(asked("build"))


def build_requires() -> list[str]:
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"])


def test_the_parts_that_hold_no_copyleft_start_without_it(tmp_path: Path) -> None:
    """The command line, the processes and the SDK import no psycopg; only who uses its connector does."""
    (tmp_path / "psycopg.py").write_text("raise ImportError('not installed')")
    modules = "broker.cli.root, broker.app, broker.store.engine, broker.agents.control, broker.console.app"
    code = f"import {modules}, connectors.sdk.__main__, connectors.postgres, connectors.tryton"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        cwd=tmp_path,
    )
