"""The direction of imports: the tree keeps every contract, and each contract refuses a breach planted in
a copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("broker", "connectors", "ownership", "schemas")
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"

# contract id -> (file that gets the line, the line). One per breach worth naming; every contract has at
# least one.
BREACHES = [
    ("ground", "schemas/keys.py", "import ownership.map"),
    ("ground", "ownership/map.py", "import broker.topics"),
    ("connectors", "connectors/sdk/source.py", "import broker.topics"),
    ("connectors", "connectors/sdk/source.py", "import ownership.map"),
    ("broker-connectors", "broker/topics.py", "import connectors.sdk.source"),
    ("broker", "broker/gate/decide.py", "import broker.topics"),
    ("broker", "broker/lane/order.py", "import broker.agents"),
    ("broker", "broker/telemetry.py", "import broker.access"),
    ("gate", "broker/gate/decision.py", "import broker.gate.decide"),
    # I5: deciding reads no clock and no randomness, and does no I/O.
    ("core", "broker/gate/decide.py", "import time"),
    ("core", "ownership/map.py", "import pathlib"),
    ("core", "schemas/codec.py", "import random"),
    ("sql", "broker/agents/__init__.py", "import sqlalchemy"),
    ("sql", "connectors/sdk/source.py", "import sqlalchemy"),
    ("hot-path", "broker/lane/order.py", "import broker.store.engine"),
    # I1: nobody but the lane holds the producer of a slot.
    ("authoritative", "broker/agents/__init__.py", "import broker.lane.transaction"),
    ("adapters", "connectors/sdk/source.py", "import connectors.postgres"),
    ("acyclic", "schemas/errors.py", "import schemas.codec"),
]


def lint(tree: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINT_IMPORTS), "--no-cache", *options],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"},
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for package in PACKAGES:
        skip = shutil.ignore_patterns("__pycache__", "static", "templates")
        shutil.copytree(ROOT / package, tree / package, ignore=skip)
    return tree


@pytest.fixture
def plant(copy: Path) -> Iterator[object]:
    """Append a line to a file of the copy; it is taken back afterwards."""
    changed: dict[Path, str] = {}

    def append(name: str, line: str) -> None:
        file = copy / name
        changed.setdefault(file, file.read_text())
        file.write_text(f"{changed[file]}\n{line}\n")

    yield append
    for file, text in changed.items():
        file.write_text(text)


def test_the_tree_keeps_every_contract(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(("contract", "file", "line"), BREACHES)
def test_a_planted_breach_is_refused(copy: Path, plant: object, contract: str, file: str, line: str) -> None:
    assert callable(plant)
    plant(file, line)
    done = lint(copy, "--contract", contract)
    assert done.returncode == 1, done.stdout[-1500:] + done.stderr[-500:]
    assert "1 broken" in done.stdout


def test_every_contract_has_a_planted_breach() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]}
    assert contracts == {contract for contract, _, _ in BREACHES}
