"""Small things on disk: secrets only their owner can read, documents written whole, free ports, the cache."""

from __future__ import annotations

import json
import os
import secrets
import socket
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"


def cache_dir() -> Path:
    """Where downloads are kept between runs: SOLESOURCE_CACHE, else ~/.cache/solesource."""
    chosen = os.environ.get("SOLESOURCE_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "solesource"


def write_private(path: Path, text: str) -> None:
    """Write a whole file that only its owner may read; a reader sees the old or the new text, never a
    part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    # Created with its final mode: there is no moment in which others could open it.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    draft.replace(path)


def read_document(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None if there is no such file."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(loaded, dict):
        raise TypeError(f"{path} holds no JSON object; delete it if you did not write it")
    return loaded


def write_document(path: Path, document: dict[str, Any]) -> None:
    write_private(path, json.dumps(document, indent=1, sort_keys=True) + "\n")


def new_password() -> str:
    """192 bits in characters that need no quoting in a URL, a JAAS line or a shell."""
    return secrets.token_hex(24)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int, timeout_s: float = 0.5) -> bool:
    """Does anything accept connections there?"""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s):
            return True
    except OSError:
        return False
