"""What is planted, and that the page tells the figures that were measured; measuring takes `make mutants`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.mutation.mutants import CORE, mutants_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "mutants.md"
SUMMARY = ROOT / "tests" / "mutation" / "summary.json"
TEXT = '''
LIMIT = 3

def f(a: int, b: str = "x") -> int:
    """Says nothing."""
    assert a
    if a < LIMIT and not b:
        return g(a, b)
    return a + 1
'''


def test_small_changes_of_everything_but_words_for_people_and_types() -> None:
    found = [(m.where, m.before, m.after) for m in mutants_of("x.py", TEXT)]
    assert found == [
        ("LIMIT", "3", "4"),
        ("LIMIT", "3", "None"),
        ("f", "'x'", "'XXx'"),
        ("f", "a < LIMIT and (not b)", "a < LIMIT or not b"),
        ("f", "a < LIMIT and (not b)", "not (a < LIMIT and (not b))"),
        ("f", "a < LIMIT", "a <= LIMIT"),
        ("f", "a < LIMIT", "a >= LIMIT"),
        ("f", "not b", "b"),
        ("f", "g(a, b)", "None"),
        ("f", "a", "None"),
        ("f", "b", "None"),
        ("f", "a + 1", "a - 1"),
        ("f", "a + 1", "None"),
        ("f", "1", "2"),
    ]
    for mutant in mutants_of("x.py", TEXT):
        assert "Says nothing." in mutant.source or mutant.constant


def test_the_page_tells_what_was_measured() -> None:
    summary, page = json.loads(SUMMARY.read_text("utf-8")), PAGE.read_text("utf-8")
    rows = re.findall(r"^\| `([\w/]+\.py)` \| (\d+) \| (\d+) \| ([\d.]+)% \|$", page, re.MULTILINE)
    files = summary["files"]
    assert {file: (int(count), int(killed)) for file, count, killed, _ in rows} == {
        file: (files[file]["mutants"], files[file]["killed"]) for file in CORE
    }
    (total,) = re.findall(r"^\| all \| (\d+) \| (\d+) \| ([\d.]+)% \|$", page, re.MULTILINE)
    assert total == (str(summary["mutants"]), str(summary["killed"]), f"{summary['ratio']:.1%}".rstrip("%"))
    survivors = re.findall(r"^\| `[\w.]+` \| `.+?` \|", page, re.MULTILINE)
    assert len(survivors) == summary["survived"] == summary["mutants"] - summary["killed"]
    assert summary["ratio"] >= 0.95
