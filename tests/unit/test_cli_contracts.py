"""`solesource contract`: its words, its files, its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from broker.cli.contracts import app
from broker.cli.output import CommandRefused
from schemas.errors import ContractsClash
from tests.gate_parts import map_texts


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = run(
        "new",
        "order",
        "--key",
        "order_id",
        "--field",
        "total:money",
        "--doc",
        "Bought.",
        "--folder",
        str(tmp_path),
    )
    assert made.exit_code == 0, made.output
    assert "order has version 1, schema id 100, in order.avsc. Commit it." in made.stdout
    return tmp_path


def schema(folder: Path, **fields: object) -> str:
    """The first version with more fields, in a file."""
    document = json.loads((folder / "order.avsc").read_text())
    document["fields"] = [told for told in document["fields"] if told["name"] not in fields]
    document["fields"] += [told for told in fields.values() if told is not None]
    path = folder.parent / "next.json"
    path.write_text(json.dumps(document))
    return str(path)


PAID = {"name": "paid", "type": ["null", "boolean"], "default": None, "doc": "Whether it was paid."}


def test_a_next_version_and_what_it_changes(folder: Path) -> None:
    made = run("new", "order", "--from", schema(folder, paid=PAID), "--folder", str(folder), "--json")
    assert json.loads(made.stdout) == {"object": "order", "version": 2, "id": 101, "file": "order.2.avsc"}
    assert sorted(path.name for path in folder.iterdir()) == ["order.2.avsc", "order.avsc", "registry.json"]
    told = run("diff", "order", "--folder", str(folder))
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        "order, from version 1 to version 2:",
        "  paid: added, yes or no, or nothing",
        "What was written before can be read.",
        "Who reads with version 1 can go on.",
    ]
    back = run("diff", "order", "--from", "2", "--to", "1", "--folder", str(folder), "--json")
    assert [change["what"] for change in json.loads(back.stdout)["changes"]] == ["removed"]


def test_a_version_that_would_lose_a_field_needs_its_name(folder: Path) -> None:
    without = schema(folder, total=None)
    refused = run("new", "order", "--from", without, "--folder", str(folder))
    assert "order would lose total" in str(refused.exception)
    assert not (folder / "order.2.avsc").exists()
    made = run("new", "order", "--from", without, "--let-go", "total", "--folder", str(folder))
    assert made.exit_code == 0
    told = run("diff", "order", "--folder", str(folder))
    assert "  total: removed, its values are let go of" in told.stdout


def test_a_version_that_clashes_is_not_written(folder: Path) -> None:
    retyped = {"name": "total", "type": ["null", "double"], "default": None}
    refused = run("new", "order", "--from", schema(folder, total=retyped), "--folder", str(folder))
    assert isinstance(refused.exception, ContractsClash)
    assert not (folder / "order.2.avsc").exists()
    assert len(json.loads((folder / "registry.json").read_text())["schemas"]) == 1


def test_check_names_what_is_to_be_done(folder: Path) -> None:
    found = run("check", "--folder", str(folder), "--json")
    assert found.exit_code == 2
    assert [fault["code"] for fault in json.loads(found.stdout)] == ["contract.no_doc"] * 2
    assert "contract.no_doc" in run("check", "--folder", str(folder)).stdout
    (folder / "order.avsc").unlink()
    assert "registry.json" in str(run("check", "--folder", str(folder)).exception)


def test_a_map_in_order_has_contracts_in_order(tmp_path: Path) -> None:
    for name, text in map_texts().items():
        (tmp_path / name).write_text(text)
    page = run("docs", "customer", "--folder", str(tmp_path))
    assert page.stdout.startswith("# customer\n") and "| credit_limit | amount of" in page.stdout


def test_types_go_to_a_file_or_to_the_screen(folder: Path) -> None:
    written = folder.parent / "order.py"
    silent = run("codegen", "order", "--out", str(written), "--folder", str(folder))
    assert silent.stdout == "" and "class Order(BaseModel):" in written.read_text()
    shown = run("codegen", "order", "--style", "typeddict", "--folder", str(folder))
    assert "class Order(TypedDict):" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("new", "order"), "say either --from or --key"),
        (("diff", "order"), r"order has no such version; it has 1 \[contract.no_version\]"),
        (("diff", "parcel"), "parcel has no such version; it has none"),
        (("docs", "parcel"), "parcel has no such version"),
    ],
)
def test_what_cannot_be_done_says_why(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    refused = run(*arguments, "--folder", str(folder))
    assert isinstance(refused.exception, CommandRefused)
    with pytest.raises(CommandRefused, match=said):
        raise refused.exception


def test_a_file_that_is_no_json_says_so(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{")
    refused = run("new", "order", "--from", str(wrong), "--folder", str(folder))
    assert "cannot be read as JSON" in str(refused.exception)
