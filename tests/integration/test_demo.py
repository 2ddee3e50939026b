"""The demo ends on Ctrl-C wherever it is, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


def left_behind(home: Path) -> list[str]:
    """Processes whose command line or environment names the demo's folder."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(home) in line and process.info["pid"] != os.getpid():
            found.append(line[:200])
    return found


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    home, log = tmp_path / "demo", tmp_path / "demo.log"
    with log.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "-m", "broker.cli", "demo", "--home", str(home)],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 180
        while b"Customers accepted" not in log.read_bytes() and time.monotonic() < deadline:
            assert demo.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
        assert left_behind(home), "the demo's processes are recognised by its folder"
        demo.send_signal(signal.SIGINT)
        demo.wait(40)
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait()
    assert left_behind(home) == [], log.read_text()[-2000:]
