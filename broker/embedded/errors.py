"""What can go wrong with embedded parts: each error has a stable code and says what, where and what to do."""

from __future__ import annotations

from typing import ClassVar


class EmbeddedError(Exception):
    """Base of every error of this package. `code` is stable: scripts and pages may rely on it."""

    code: ClassVar[str] = "embedded"


class PartMissingError(EmbeddedError):
    """A Python distribution that brings the part is not installed."""

    code = "embedded-part-missing"


class JarUnreachableError(EmbeddedError):
    """A jar could not be fetched from the Maven registry."""

    code = "embedded-jar-unreachable"


class JarChecksumError(EmbeddedError):
    """A fetched jar is not the one that the lock names; it was deleted."""

    code = "embedded-jar-checksum"


class StartError(EmbeddedError):
    """A child process ended, or did not answer in time, while starting."""

    code = "embedded-start"


class StopError(EmbeddedError):
    """A child process is still there after it was killed."""

    code = "embedded-stop"


class SetupError(EmbeddedError):
    """Preparing a part failed: its storage, its environment or its first records."""

    code = "embedded-setup"


class NotRunningError(EmbeddedError):
    """Something was asked of a part that is not up."""

    code = "embedded-not-running"
