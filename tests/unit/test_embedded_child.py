"""Children are ended by identity, and none outlives its parent. Small programs stand in for servers here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from broker.embedded.child import Child, ChildSpec, find
from broker.embedded.errors import StartError
from broker.embedded.files import read_document, write_document

ROOT = Path(__file__).parents[2]
SLEEP = "import sys, time; print('began', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def spec(folder: Path, program: str = SLEEP, *, tied: bool = True) -> ChildSpec:
    return ChildSpec(
        name="sleeper",
        argv=[sys.executable, "-c", program, str(folder)],
        marker=str(folder),
        log_file=folder / "log",
        state_file=folder / "state.json",
        tied=tied,
    )


def began(folder: Path) -> bool:
    return "began" in (folder / "log").read_text()


def start(child: Child, folder: Path) -> int:
    pid = child.start().pid
    child.wait_until(lambda: began(folder), timeout_s=10, hint="")
    return pid


def test_a_child_is_found_again_by_its_state_file_and_ended(tmp_path: Path) -> None:
    child = Child(spec(tmp_path))
    pid = start(child, tmp_path)
    seen = Child(spec(tmp_path)).state()
    assert seen is not None
    assert seen.pid == pid
    assert os.getsid(pid) == pid  # a session of its own: Ctrl-C at the terminal does not reach it
    assert child.stop()
    assert not psutil.pid_exists(pid)
    assert not child.stop()


def test_a_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    document = {"pid": os.getpid(), "created_s": 1.0, "marker": str(tmp_path), "facts": {}}
    write_document(tmp_path / "state.json", document)
    assert find(tmp_path / "state.json", str(tmp_path)) is None
    assert not Child(spec(tmp_path)).stop()  # and we are still here


def test_another_program_under_the_same_pid_is_left_alone(tmp_path: Path) -> None:
    created_s = psutil.Process().create_time()
    write_document(tmp_path / "state.json", {"pid": os.getpid(), "created_s": created_s, "facts": {}})
    assert find(tmp_path / "state.json", "a path that is not in our command line") is None


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = Child(spec(tmp_path, DEAF))
    pid = start(child, tmp_path)
    child.stop(timeout_s=0.3)
    assert not psutil.pid_exists(pid)


def test_a_child_that_ends_while_starting_is_shown_with_its_log(tmp_path: Path) -> None:
    child = Child(spec(tmp_path, "raise SystemExit('no such thing')"))
    child.start()
    with pytest.raises(StartError, match="no such thing") as caught:
        child.wait_until(lambda: False, timeout_s=10, hint="Look there.")
    assert "ended while starting. Look there." in str(caught.value)


def test_a_child_that_never_answers_is_ended(tmp_path: Path) -> None:
    child = Child(spec(tmp_path))
    pid = start(child, tmp_path)
    with pytest.raises(StartError, match="did not answer within"):
        child.wait_until(lambda: False, timeout_s=0.2, hint="")
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_child_outlives_the_process_it_is_tied_to(tmp_path: Path, how: signal.Signals) -> None:
    assert not lives_after_its_parent(tmp_path, how, tied=True)


def test_an_untied_child_stays(tmp_path: Path) -> None:
    assert lives_after_its_parent(tmp_path, signal.SIGKILL, tied=False)
    Child(spec(tmp_path)).stop()


def lives_after_its_parent(folder: Path, how: signal.Signals, *, tied: bool) -> bool:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.unit.test_embedded_child import Child, spec, start\n"
        f"print(start(Child(spec(Path(sys.argv[1]), tied={tied})), Path(sys.argv[1])), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(how)
        parent.wait(15)
    deadline = time.monotonic() + (5 if tied else 1)
    while time.monotonic() < deadline and find(folder / "state.json", str(folder)) is not None:
        time.sleep(0.05)
    left = find(folder / "state.json", str(folder))
    assert read_document(folder / "state.json") is not None
    return left is not None and left.pid == pid
