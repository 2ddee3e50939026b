"""The judge of campaigns bites: gates that are wrong in one place are found out, the same loop built rightly is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.embedded.kafka import EmbeddedKafka
from tests.chaos.controls.trial import CONTROLS, trial

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_is_judged(kafka: EmbeddedKafka, name: str, tmp_path: Path) -> None:
    """I3: each way of not keeping it is named; keeping it through the same faults is not."""
    verdict = trial(kafka, name, tmp_path)
    wanted = CONTROLS[name].finding
    assert bool(verdict["findings"]) == bool(wanted), verdict["findings"][:5]
    assert not wanted or verdict[wanted] > 0
