"""What the console answers when it cannot do what was asked: a sentence for the person and a stable code."""

from __future__ import annotations


class ConsoleError(Exception):
    """A request that cannot be fulfilled."""

    code = "console.error"
    status = 400
    remedy = "Go back and try again."

    def __init__(self, sentence: str, remedy: str | None = None) -> None:
        self.sentence = sentence
        if remedy is not None:
            self.remedy = remedy
        super().__init__(f"{sentence} [{self.code}] {self.remedy}")


class NotFoundError(ConsoleError):
    """There is no such thing, or it is not shown to this person."""

    code = "console.not_found"
    status = 404
    remedy = "Look for it in Needs review."


class RefusedError(ConsoleError):
    """The request did not come from a page of ours, or this person may not do it."""

    code = "console.refused"
    status = 403
    remedy = "Open the page again and repeat what you did."


class TooManyError(ConsoleError):
    """Too many attempts."""

    code = "console.too_many"
    status = 429
    remedy = "Wait some minutes."


class NotSentError(ConsoleError):
    """A decision could not be written to the log."""

    code = "console.not_sent"
    status = 503
    remedy = "Nothing was changed. Try again in a minute."


class UsersFileError(ConsoleError):
    """The users file cannot be read."""

    code = "console.users_file"
    status = 503
    remedy = "Make a user with `solesource user add NAME`."
