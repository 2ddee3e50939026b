"""The judge of histories: silent about a true one, not deceived by forged ones, independent of the product."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import history
from tests.chaos.forged import FORGERIES, forged, true_history

JUDGE = Path(history.__file__)


def test_a_true_history_has_no_findings() -> None:
    verdict = history.judge(true_history())
    assert verdict["findings"] == []
    assert verdict["in"] == 13 and verdict["revisions"] == 7
    assert verdict["outcomes"] == {
        "accepted": 6,
        "duplicate": 1,
        "echo": 1,
        "parked": 1,
        "quarantined": 2,
        "stale": 1,
        "unreadable": 1,
    }


def test_there_are_twenty_forgeries_at_least() -> None:
    assert len(FORGERIES) >= 20


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_history_is_found_out(name: str) -> None:
    lines, finding = forged(name)
    assert history.judge(lines)[finding] > 0


def test_a_history_that_was_cut_short_is_found_out() -> None:
    """Whatever is missing: the first line, the last, or one of any kind in between."""
    lines = true_history()
    assert history.judge(lines[1:])["findings"]
    assert history.judge(lines[:-1])["findings"]
    # What was done to it, and a law that nothing was decided under, are for people.
    told: dict[str, dict[str, Any]] = {line["kind"]: line for line in lines}
    for kind in set(told) - {"history", "end"}:
        rest = [line for line in lines if line is not told[kind]]
        rest[-1] = {"kind": "end", "lines": len(rest)}
        assert history.judge(rest)["findings"], kind


def test_it_imports_the_standard_library_alone() -> None:
    tree = ast.parse(JUDGE.read_text(encoding="utf-8"))
    names = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        node.module.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert names <= sys.stdlib_module_names


def test_it_runs_by_itself(tmp_path: Path) -> None:
    """As a program, isolated from every package."""
    for lines, status in ((true_history(), 0), (forged("a case vanishes")[0], 1)):
        told = tmp_path / "history.jsonl"
        told.write_text("".join(json.dumps(line) + "\n" for line in lines))
        done = subprocess.run(
            [sys.executable, "-I", str(JUDGE), str(told)], capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
        assert bool(json.loads(done.stdout)["findings"]) == bool(status)
