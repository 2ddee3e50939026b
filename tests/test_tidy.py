"""Style that no linter knows: sizes, names, docstrings, and invariants that are enforced and tested
somewhere.

Each rule is a function from a source text to complaints; one test runs it over the tree, another shows
that it bites.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("broker", "connectors", "ownership", "schemas")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50

# As whole words of the public name of a module, class or function. The glossary gives each thing a name.
BANNED_WORDS = frozenset(
    [
        "common",
        "data",
        "handle",
        "handler",
        "helper",
        "helpers",
        "info",
        "manager",
        "process",
        "util",
        "utils",
    ]
)
TODO = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))")
INVARIANTS = tuple(f"I{number}" for number in range(1, 12))
COMMENT = re.compile(r"#.*")
CITATION = re.compile(r"\bI\d{1,2}\b")
LOCAL_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)\s]*)?\)")
MAKE = re.compile(r"^make ([a-z-]+)", re.MULTILINE)


def product_files() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_files() -> list[Path]:
    return sorted((ROOT / "tests").rglob("*.py"))


# pytest would otherwise take the function above for a test
test_files.__test__ = False  # type: ignore[attr-defined]


# --- the rules


def too_long(text: str, limit: int = FILE_LINES_MAX) -> Iterator[str]:
    lines = text.count("\n")
    if lines > limit:
        yield f"{lines} lines, at most {limit}: split by what changes together"


def long_functions(tree: ast.Module, limit: int = FUNCTION_LINES_MAX) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            first = node.body[1 if docstring is not None and len(node.body) > 1 else 0]
            lines = (node.end_lineno or 0) - first.lineno + 1
            if lines > limit:
                yield f"{node.name} has {lines} lines, at most {limit}"


def without_docstring(tree: ast.Module) -> Iterator[str]:
    if tree.body and ast.get_docstring(tree) is None:
        yield "no module docstring: what is it for, and what must not live here?"


def banned_names(module: str, tree: ast.Module) -> Iterator[str]:
    nodes = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = [module, *(node.name for node in ast.walk(tree) if isinstance(node, nodes))]
    for name in names:
        if not name.startswith("_") and words(name) & BANNED_WORDS:
            yield f"{name}: {', '.join(sorted(words(name) & BANNED_WORDS))} says nothing"


def words(name: str) -> set[str]:
    """`HTTPDataReader` and `read_data` both hold the word `data`."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def complicated(paths: list[Path], limit: int) -> set[str]:
    """Functions whose cyclomatic complexity exceeds a limit."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "C901"),
            *("--output-format", "json", "--config", f"lint.mccabe.max-complexity={limit}"),
            *map(str, paths),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return {found["message"].split("`")[1] for found in json.loads(done.stdout)}


def loose_ends(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if TODO.search(line):
            yield f"line {number}: a loose end names its issue, as in TODO(#12)"


def cited(files: list[Path]) -> set[str]:
    """Invariants that a comment of these files names."""
    return {name for path in files for name in citations(path.read_text(encoding="utf-8"))}


def citations(text: str) -> set[str]:
    return {name for comment in COMMENT.findall(text) for name in CITATION.findall(comment)}


# --- the tree


def complaints(paths: list[Path]) -> list[str]:
    found = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        rules = [too_long(text), without_docstring(tree)]
        if path.name != "test_tidy.py":
            rules.append(loose_ends(text))
        if path.is_relative_to(ROOT / "tests"):
            rules.append(long_functions(tree, 80))
        else:
            rules += [long_functions(tree), banned_names(path.stem, tree)]
        found += [f"{path.relative_to(ROOT)}: {said}" for rule in rules for said in rule]
    return found


def test_product_code_is_tidy() -> None:
    assert complaints(product_files()) == []


def test_tests_are_tidy() -> None:
    assert complaints(test_files()) == []


def test_every_invariant_is_cited_where_it_is_enforced() -> None:
    assert set(INVARIANTS) - cited(product_files()) == set()


def test_every_invariant_is_cited_by_a_test() -> None:
    tests = [path for path in test_files() if path.name != "test_tidy.py"]
    assert set(INVARIANTS) - cited(tests) == set()


def test_the_page_of_invariants_lists_them_all_with_places_that_cite_them() -> None:
    page = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (I\d+) \|(.*)$", page, re.MULTILINE))
    assert tuple(rows) == INVARIANTS
    for name, row in rows.items():
        files = [(ROOT / "docs" / link).resolve() for link in LOCAL_LINK.findall(row)]
        assert name in cited([file for file in files if not file.is_relative_to(ROOT / "tests")]), (
            f"{name} in code"
        )
        assert name in cited([file for file in files if file.is_relative_to(ROOT / "tests")]), (
            f"{name} in tests"
        )


def pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def broken_links(page: Path, text: str) -> list[str]:
    return [link for link in LOCAL_LINK.findall(text) if not (page.parent / link).exists()]


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    found = {page: broken_links(page, page.read_text(encoding="utf-8")) for page in pages()}
    assert {page: links for page, links in found.items() if links} == {}
    assert broken_links(
        ROOT / "README.md", "[a](docs/nowhere.md#x) [b](https://example.com) [c](LICENSE)"
    ) == ["docs/nowhere.md"]


def test_every_page_is_reached_from_the_map_of_the_documentation() -> None:
    seen, queue = set(), [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        seen.add(page)
        links = LOCAL_LINK.findall(page.read_text(encoding="utf-8"))
        linked = {(page.parent / link).resolve() for link in links if link.endswith(".md")}
        queue += sorted(linked - seen - set(queue))
    assert set(pages()) - seen == set()


def test_commands_of_the_pages_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in pages():
        assert set(MAKE.findall(page.read_text(encoding="utf-8"))) <= targets, page
    assert {"demo", "test"} <= set(MAKE.findall((ROOT / "README.md").read_text(encoding="utf-8")))


def test_what_decides_stays_simple() -> None:
    core = [
        *sorted((ROOT / "broker" / "gate").glob("*.py")),
        *(ROOT / "broker" / "lane" / name for name in ("fold.py", "judge.py")),
        *(ROOT / "ownership" / name for name in ("handover.py", "map.py")),
    ]
    assert complicated(core, 7) <= {"read", "express"} and not complicated(core, 8)
    functions = [
        n
        for path in core
        for n in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(n, ast.FunctionDef)
    ]
    (decide,) = (n for n in functions if n.name == "decide")
    assert (decide.end_lineno or 0) - decide.lineno < 40


# --- the rules bite


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("length", "x = 1\n" * 401),
        ("function", "def f():\n" + "    x = 1\n" * 51),
        ("docstring", "x = 1\n"),
        ("names", "class DataReader: ...\n"),
        ("names", "def handle(x): ...\n"),
        ("loose", "# TODO: later\n"),
    ],
)
def test_a_rule_bites(rule: str, text: str) -> None:
    tree = ast.parse(text)
    rules = {
        "length": too_long(text),
        "function": long_functions(tree),
        "docstring": without_docstring(tree),
        "names": banned_names("module", tree),
        "loose": loose_ends(text),
    }
    assert list(rules[rule])


@pytest.mark.parametrize(
    "text",
    [
        '"""Doc."""\n\n\ndef read(x): ...\n',
        '"""Doc."""\n\n\nclass Database: ...\n',
        '"""Doc."""\n# TODO(#12): later\n',
        '"""Doc."""\ndef f():\n    """A long\n' + "    text\n" * 60 + '    """\n    return 1\n',
    ],
)
def test_a_rule_lets_the_tidy_pass(text: str) -> None:
    tree = ast.parse(text)
    said = [*long_functions(tree), *without_docstring(tree), *banned_names("module", tree), *loose_ends(text)]
    assert said == []


def test_a_citation_is_read() -> None:
    assert citations("x = 1  # I3: moves together\n# I5, I7\ny = 'I9'") == {"I3", "I5", "I7"}
