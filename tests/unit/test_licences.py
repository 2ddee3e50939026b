"""What a user installs is under permissive licences; the exceptions are named, each with its reason.

Also: pyproject.toml asks for exactly what the locks were made from.
"""

from __future__ import annotations

import importlib.metadata
import re
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

# Weak copyleft that we use unchanged, by its public interface, from its own distribution. Nothing of it
# is in ours.
EXCEPTIONS = {
    "psycopg": "LGPL-3.0: the PostgreSQL driver; imported unchanged, and whoever runs us can replace it",
    "psycopg-binary": "LGPL-3.0: the same driver's compiled part, likewise replaceable",
    "pathspec": "MPL-2.0: comes with hatchling, works while building only, unchanged",
}


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
    found = {name: licence_words(name) for name in names - EXCEPTIONS.keys()}
    wrong = {name: words for name, words in found.items() if not _permissive(words)}
    assert wrong == {}


def _permissive(words: str) -> bool:
    """An OR with a permissive side is permissive; anything restrictive beside an AND is not."""
    sides = re.split(r"\bOR\b", words)
    return any(PERMISSIVE.search(side) and not RESTRICTIVE.search(side) for side in sides)


def test_exceptions_are_needed_and_say_why() -> None:
    for name, reason in EXCEPTIONS.items():
        assert name in locked("base")
        assert not _permissive(licence_words(name))
        assert len(reason) > 20


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
