"""The gate's app, without Kafka."""

from __future__ import annotations

from pathlib import Path

from broker.app import make_app
from broker.settings import Settings


def test_a_home_that_is_not_there_is_made_for_its_user_alone(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    app = make_app(Settings(home=home))
    assert not home.exists()
    app._create_directories()
    assert (home / "gate").stat().st_mode & 0o777 == 0o700
