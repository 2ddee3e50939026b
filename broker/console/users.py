"""Who may use the console: a file of names, password hashes and roles, and one-time links beside it.

No password, link or token is ever stored or logged as it is. Sessions are elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from broker.clock import now_ms
from broker.console.errors import UsersFileError

VIEWER, REVIEWER = "viewer", "reviewer"
ROLES = (VIEWER, REVIEWER)
"""A viewer reads; a reviewer decides as well."""
LINK_VALID_MS = 600_000
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**15, 8, 3
"""As OWASP recommends; about 0.2 seconds and 32 MiB per try."""
SCRYPT_MEMORY = 64 * 1024 * 1024
PASSWORD_LENGTH_MAX = 1024


@dataclass(frozen=True, slots=True)
class User:
    """A person, or a program with a token."""

    name: str
    roles: frozenset[str]

    @property
    def may_decide(self) -> bool:
        """Whether this person's decisions are sent."""
        return REVIEWER in self.roles


def hash_password(password: str) -> str:
    """`scrypt$n$r$p$salt$hash`, salt and hash in base64."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
    parts = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(("scrypt", str(SCRYPT_N), str(SCRYPT_R), str(SCRYPT_P), *parts))


def password_fits(password: str, stored: str) -> bool:
    """Whether this password made that hash."""
    try:
        kind, n, r, p, salt, digest = stored.split("$")
        made = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    except ValueError:
        return False
    return kind == "scrypt" and hmac.compare_digest(made, base64.b64decode(digest))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=SCRYPT_MEMORY, dklen=32)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@cache
def _nobody() -> str:
    """Checked for unknown names, so that they take as long as known ones."""
    return hash_password(secrets.token_urlsafe(16))


class Users:
    """The users file, read again whenever it changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp = (0, 0)
        self._entries: Mapping[str, Mapping[str, Any]] = {}

    def find(self, name: str) -> User | None:
        """The user of this name. Raises UsersFileError."""
        entry = self._read().get(name)
        return None if entry is None else User(name, frozenset(entry["roles"]))

    def with_password(self, name: str, password: str) -> User | None:
        """The user, if name and password fit. Takes as long when they do not."""
        entry = self._read().get(name)
        nobody = _nobody()  # made the first time, for known names too
        stored = (entry or {}).get("password") or nobody
        fits = password_fits(password[:PASSWORD_LENGTH_MAX], stored)
        return self.find(name) if fits and entry is not None else None

    def with_token(self, token: str) -> User | None:
        """The user whose API token this is."""
        digest = _digest(token)
        for name, entry in self._read().items():
            if any(hmac.compare_digest(digest, known) for known in entry.get("tokens", ())):
                return self.find(name)
        return None

    def with_link(self, code: str) -> User | None:
        """The user for whom this one-time code was made; it is used up by asking."""
        place = _links(self.path) / _digest(code)
        try:
            found = json.loads(place.read_text("utf-8"))
            place.unlink()  # single use: of two askers only one can remove it
        except (OSError, ValueError):
            return None
        return self.find(str(found["name"])) if found["expires_ms"] > now_ms() else None

    def _read(self) -> Mapping[str, Mapping[str, Any]]:
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._entries = json.loads(self.path.read_text("utf-8"))["users"]
                self._stamp = stamp
        except (OSError, ValueError, KeyError) as error:
            msg = f"{self.path.name} cannot be read"
            raise UsersFileError(msg) from error
        return self._entries


def _links(path: Path) -> Path:
    return path.with_name(f"{path.name}.links")


def _change(path: Path, name: str, changes: Mapping[str, Any]) -> None:
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        document = {"users": {}}
    entry = document["users"].setdefault(name, {"password": None, "roles": [VIEWER], "tokens": []})
    entry.update(changes)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump(document, file, indent=2, sort_keys=True)
    draft.replace(path)


def make_user(path: Path, name: str, password: str | None = None, roles: Iterable[str] = ROLES) -> User:
    """Add a user or change one; without a password only one-time links let them in. File mode 0600.

    Raises ValueError for an unknown role, an empty name or a password shorter than 12 characters.
    """
    wanted = frozenset(roles)
    if not name.strip() or not wanted <= set(ROLES) or (password is not None and len(password) < 12):
        msg = "a user has a name, roles out of viewer and reviewer, and a password of 12 characters or more"
        raise ValueError(msg)
    changes: dict[str, Any] = {"roles": sorted(wanted)}
    if password is not None:
        changes["password"] = hash_password(password)
    _change(path, name, changes)
    return User(name, wanted)


def make_token(path: Path, name: str) -> str:
    """A bearer token for the API; replaces earlier ones. Shown once, only its digest is kept."""
    token = secrets.token_urlsafe(32)
    _change(path, name, {"tokens": [_digest(token)]})
    return token


def make_login_link(path: Path, name: str, base_url: str) -> str:
    """An address that signs `name` in once, within ten minutes."""
    if Users(path).find(name) is None:
        msg = f"no user {name} in {path.name}"
        raise UsersFileError(msg)
    folder = _links(path)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in folder.iterdir():
        if now_ms() - old.stat().st_mtime_ns // 1_000_000 > LINK_VALID_MS:
            old.unlink(missing_ok=True)
    code = secrets.token_urlsafe(32)
    place = folder / _digest(code)
    place.write_text(json.dumps({"name": name, "expires_ms": now_ms() + LINK_VALID_MS}), "utf-8")
    place.chmod(0o600)
    return f"{base_url.rstrip('/')}/login/link?code={code}"
