"""`datacontract` of the Data Contract CLI, in an environment of its own, made when it is first asked for."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / ".venv-datacontract"
PROGRAM = ENVIRONMENT / "bin" / "datacontract"
LOCK = ROOT / "requirements" / "datacontract.txt"
STAMP = ENVIRONMENT / ".installed"


@cache
def to_be_had() -> bool:
    """Whether it is there, or could be installed now (130 MB, pinned with hashes)."""
    if STAMP.exists() and STAMP.stat().st_mtime > LOCK.stat().st_mtime:
        return True
    install = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
    for command in ([sys.executable, "-m", "venv", str(ENVIRONMENT)], [*install, "-r", str(LOCK)]):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return False
    STAMP.touch()
    return True


def lint(file: Path) -> tuple[bool, str]:
    """(it is valid, what was said)."""
    done = subprocess.run([PROGRAM, "lint", file], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr
