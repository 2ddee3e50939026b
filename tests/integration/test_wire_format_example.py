"""The example in docs/reference/wire-format.md and the stranger of the tutorial, run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.estate import MAP_DIR, ROOT, Estate, estate_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    for made in estate_of(tmp_path_factory.mktemp("example")):
        made.start_gate()
        yield made


def printed(page: str) -> str:
    (block,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return str(block)


def run(estate: Estate, tmp_path: Path, page: str, **environment: str) -> str:
    """Run a page's code in a folder of its own, where nothing of ours can be imported."""
    program = tmp_path / "example.py"
    program.write_text(printed(page))
    told = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    ran = subprocess.run(
        [sys.executable, "-I", str(program)],
        env={**told, "KAFKA_BOOTSTRAP_SERVERS": estate.kafka.bootstrap, **environment},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr + estate.logs()
    return ran.stdout


def test_a_stock_client_writes_and_reads_everything_that_the_page_names(
    estate: Estate, tmp_path: Path
) -> None:
    said = run(
        estate,
        tmp_path,
        "docs/reference/wire-format.md",
        PASSWORDS=json_of(estate),
        CONTRACT=str(MAP_DIR / "customer.avsc"),
        ENVELOPES=str(ROOT / "schemas" / "avro"),
    )
    assert re.search(r"^authoritative customer/C-\w+@1 changed: ", said, re.MULTILINE)
    assert "refusal not_owner - crm is the system of record of customer name." in said
    assert re.search(r"^case \S+ \[\('name', '\"A. Byron\"', 'crm'\)\]$", said, re.MULTILINE)
    assert "acknowledged through offset" in said


def test_the_tutorials_stranger_is_held_and_refused(estate: Estate, tmp_path: Path) -> None:
    before = estate.account()["received"]
    said = run(estate, tmp_path, "docs/tutorial.md", SOLESOURCE_CREDENTIALS_FILE=str(estate.credentials))
    assert "changes.billing.customer written" in said
    assert "changes.crm.customer refused by Kafka: TOPIC_AUTHORIZATION_FAILED" in said
    estate.settle(before + 1)
    (case,) = [case for case in estate.envelopes("quarantine") if case["system"] == "billing"]
    assert case["reason"] == "system_not_listed"


def json_of(estate: Estate) -> str:
    return estate.credentials.read_text()


def test_nothing_of_ours_is_in_the_example() -> None:
    for page in ("docs/reference/wire-format.md", "docs/tutorial.md"):
        assert not re.search(
            r"^(from|import) (broker|schemas|ownership|connectors)", printed(page), re.MULTILINE
        )
