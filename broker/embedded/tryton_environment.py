"""The Python environment of the embedded ERP: its own, because Tryton is GPL and never imported by us.

Installed once per lock (`requirements/tryton.txt`) into the cache, with hashes; any number of servers use it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from broker.embedded.errors import SetupError
from broker.embedded.files import cache_dir

INSTALL_TIMEOUT_S = 600


class TrytonEnvironment:
    """Where Tryton's programs are; `ensure()` installs them when they are not there yet."""

    def __init__(self, cache: Path | None = None) -> None:
        self._lock_file = _lock_file()
        mark = hashlib.sha256(self._lock_file.read_bytes()).hexdigest()[:12]
        # The interpreter's version too: an environment does not survive a change of it.
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        self.home = (cache or cache_dir()) / f"tryton-{mark}-py{version}"

    def installed(self) -> bool:
        return (self.home / "installed").exists()

    def program(self, name: str) -> str:
        return str(self.home / "venv" / "bin" / name)

    def ensure(self) -> bool:
        """True if it had to be installed (about 10 s). Raises SetupError with pip's last words."""
        if self.installed():
            return False
        with self.locked():
            if self.installed():
                return False
            venv = self.home / "venv"
            # Only a finished environment has the stamp: what is here was interrupted.
            shutil.rmtree(venv, ignore_errors=True)
            self._run([sys.executable, "-m", "venv", str(venv)])
            pip = [
                str(venv / "bin" / "python"),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ]
            self._run([*pip, "--require-hashes", "-r", str(self._lock_file)])
            (self.home / "installed").touch()
        return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time prepares what is kept in `home`."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _run(self, argv: list[str]) -> None:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
            env=clean_environ(),
        )
        if done.returncode != 0:
            raise SetupError(
                f"Tryton's environment in {self.home} could not be made: `{' '.join(argv[:4])} ...` ended "
                f"with status {done.returncode}. Is the package index reachable? {done.stderr.strip()[-800:]}"
            )


def clean_environ(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment without what would pull our packages into another Python."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return {**kept, **(extra or {})}


def _lock_file() -> Path:
    here = Path(__file__)
    # Beside this module in an installed wheel; in the repository where the other locks are.
    for candidate in (here.with_name("tryton.txt"), here.parents[2] / "requirements" / "tryton.txt"):
        if candidate.exists():
            return candidate
    raise SetupError("requirements/tryton.txt is neither in this package nor in a repository around it")
