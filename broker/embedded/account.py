"""Which operating-system account a server runs as, and which folders that account can reach.

PostgreSQL refuses to run as root. Under root it runs as an account that is already there; none is
created, and no mode of a folder that somebody else made is changed. As any other user this module does
nothing.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from broker.embedded.errors import SetupError

# First that exists. `nobody` is everywhere, and owns only what we give it.
ACCOUNTS = ("pgserver", "postgres", "nobody")
# Where things go that such an account must reach when their own folder is closed to it (under root only).
SHARED_DIR = Path("/var/lib/solesource")


@dataclass(frozen=True, slots=True)
class Account:
    """An account to drop to."""

    name: str
    uid: int
    gid: int


def account_for_servers() -> Account | None:
    """None unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise SetupError(
        f"PostgreSQL does not run as root, and none of the accounts {', '.join(ACCOUNTS)} exists here. "
        "Run as another user, or add one of them."
    )


def place_for(folder: Path, account: Account | None) -> Path:
    """`folder`, or a stand-in below /var/lib/solesource if `account` could not reach it there."""
    if account is None or reachable(folder, account):
        return folder
    _shared()
    return SHARED_DIR / f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def readable_copy(folder: Path, account: Account | None, *, skip: tuple[str, ...] = ()) -> Path:
    """`folder`, or a complete copy of it that `account` can read."""
    if account is None or reachable(folder / "any", account):
        return folder
    _shared()
    seen = folder.stat()
    mark = hashlib.sha256(f"{folder}:{seen.st_mtime_ns}".encode()).hexdigest()[:12]
    copy = SHARED_DIR / f"{folder.name}-{mark}"
    if not copy.exists():
        draft = SHARED_DIR / f".{copy.name}.{os.getpid()}"
        shutil.copytree(folder, draft, symlinks=True, ignore=shutil.ignore_patterns(*skip))
        draft.replace(copy)
    return copy


def reachable(path: Path, account: Account) -> bool:
    """May `account` pass through every existing folder above `path`?"""
    for parent in path.resolve().parents:
        if not parent.exists():
            continue
        seen = parent.stat()
        if seen.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif seen.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not seen.st_mode & needed:
            return False
    return True


def give(folder: Path, account: Account | None) -> None:
    """Make `folder`, private to the account that will use it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if account is not None:
        os.chown(folder, account.uid, account.gid)


def _shared() -> None:
    SHARED_DIR.mkdir(parents=True, exist_ok=True)
    SHARED_DIR.chmod(0o711)
