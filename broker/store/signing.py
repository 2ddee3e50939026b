"""Signing the audit: an Ed25519 key by reference, signatures under its heads, and a file of them outside the database.

Whoever can write the database can cut off its end, signatures and all. So each signature is also added to a file that
only grows, best on another machine's disk; the end of the audit is compared with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from broker.store.errors import StoreError

LINES_MAX = 5_000_000


class AuditKeyError(StoreError):
    """The key that signs the audit cannot be used; it is never shown."""

    code = "audit.key"
    remedy = "Make one with `solesource audit key`, or set SOLESOURCE_AUDIT_KEY_FILE."


class AnchorsError(StoreError):
    """The file of signatures cannot be read or added to."""

    code = "audit.anchors"
    remedy = (
        "Check SOLESOURCE_AUDIT_ANCHORS; nothing is written to the audit that cannot be signed outside of it."
    )


@dataclass(frozen=True, slots=True)
class Head:
    """The audit up to an entry, signed."""

    sequence: int
    digest: bytes
    signature: bytes


def signed_text(sequence: int, digest: bytes) -> bytes:
    """What a signature is made of."""
    return f"solesource audit {sequence} {digest.hex()}".encode()


class Signer:
    """The private key, and where its signatures are kept outside the database."""

    def __init__(self, key: Ed25519PrivateKey, anchors: Path) -> None:
        self._key = key
        self.anchors = anchors
        self.fingerprint = fingerprint(key.public_key())

    def head(self, sequence: int, digest: bytes) -> Head:
        """Sign the audit up to an entry."""
        return Head(sequence, digest, self._key.sign(signed_text(sequence, digest)))

    def check(self) -> None:
        """See that the file can be added to. Raises AnchorsError."""
        self.anchor(())

    def anchor(self, heads: Iterable[Head]) -> None:
        """Add signatures to the file. Raises AnchorsError."""
        lines = [
            json.dumps({"sequence": h.sequence, "digest": h.digest.hex(), "signature": h.signature.hex()})
            + "\n"
            for h in heads
        ]
        try:
            self.anchors.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            place = os.open(self.anchors, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(place, "".join(lines).encode())
                os.fsync(place)
            finally:
                os.close(place)
        except OSError as error:
            msg = f"{self.anchors} cannot be added to: {error.strerror}"
            raise AnchorsError(msg) from error


def fingerprint(key: Ed25519PublicKey) -> str:
    """By which a key is known: the first 16 hex digits of its digest."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def fits(keys: Sequence[Ed25519PublicKey], head: Head) -> bool:
    """Whether a signature was made by one of these keys under this head."""
    for key in keys:
        with contextlib.suppress(InvalidSignature):
            key.verify(head.signature, signed_text(head.sequence, head.digest))
            return True
    return False


def make_key(path: Path) -> Ed25519PublicKey:
    """Make a key where there is none; only its owner may read it. The public half lies beside it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    place, draft = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # readable by its owner alone
    with os.fdopen(place, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        os.link(draft, path)  # whole or not at all, and never over another one
    except FileExistsError as error:
        msg = f"there is a key in {path} already"
        raise AuditKeyError(msg, "Keep it: what it signed is verified with it.") from error
    finally:
        Path(draft).unlink()
    public = key.public_key()
    public_path(path).write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return public


def public_path(path: Path) -> Path:
    """Where the public half of a key lies."""
    return path.with_suffix(".pub")


def read_signer(path: Path, anchors: Path) -> Signer:
    """The key of a file; made where there is none. Raises AuditKeyError."""
    if not path.exists():
        with contextlib.suppress(AuditKeyError):  # another process of this machine was quicker
            make_key(path)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        msg = f"the key of the audit cannot be read from {path}"
        raise AuditKeyError(msg) from error
    if not isinstance(key, Ed25519PrivateKey):
        msg = f"the key of the audit in {path} is not an Ed25519 key"
        raise AuditKeyError(msg)
    return Signer(key, anchors)


def read_public(path: Path) -> Ed25519PublicKey:
    """A public key. Raises AuditKeyError."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        msg = f"no public key can be read from {path}"
        raise AuditKeyError(msg) from error
    if not isinstance(key, Ed25519PublicKey):
        msg = f"{path} holds no Ed25519 key"
        raise AuditKeyError(msg)
    return key


def read_anchors(path: Path) -> Iterator[Head]:
    """The signatures of a file, in order. Raises AnchorsError for a line that is none."""
    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read"
        raise AnchorsError(msg) from error
    for number, line in enumerate(lines[:LINES_MAX], 1):
        try:
            told = json.loads(line)
            yield Head(int(told["sequence"]), bytes.fromhex(told["digest"]), bytes.fromhex(told["signature"]))
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{path}:{number}: is no signature"
            raise AnchorsError(msg) from error
