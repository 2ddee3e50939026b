"""What is no console gets no token and is not believed; what others wrote does not steer a terminal."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.access import ConsoleAccess
from broker.cli import conversation
from broker.settings import Settings, SettingsRefused
from tests.console_served import WORDS, Branch, Impostor, file_of, fresh, invoke, said
from tests.governed_map import NEW_OWNER


def asked(branch: Branch, impostor: Impostor, *arguments: str) -> str:
    environment = branch.far("ana") | {"SOLESOURCE_CONSOLE_URL": impostor.url}
    text = said(invoke(environment, *(arguments or ("request", "show", "cr-1"))))
    assert branch.token_file("ana").read_text().strip() not in text
    return text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>hello</html>",
        b"[]",
        b"{}",
        b"[" * 200_000,
        b'{"request": "cr-1"}',
        b"\xff\xfe",
        b"1" * 9_999,
    ],
    ids=["empty", "page", "list", "other", "deep", "half", "no text", "number"],
)
def test_what_is_no_answer_of_a_console(branch: Branch, impostor: Impostor, body: bytes) -> None:
    impostor.pieces = [body]
    assert "[console.not_ours]" in asked(branch, impostor)
    assert "[console.not_ours]" in asked(branch, impostor, "waiver", "list")
    assert "[console.not_ours]" in asked(branch, impostor, "request", "remark", "cr-1", "x")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_without_an_answer_is_a_lost_answer(branch: Branch, impostor: Impostor, status: int) -> None:
    impostor.status, impostor.pieces = status, [b"<html>Bad gateway</html>"]
    text = asked(branch, impostor, "request", "remark", "cr-1", "x")
    assert f"says {status} [console.away] It may have done" in text and len(impostor.tokens) == 3
    problem = {"type": "store.unavailable", "title": "It is away.", "detail": "Try again.", "status": status}
    impostor.pieces = [json.dumps(problem).encode()]
    assert asked(branch, impostor) == "It is away [store.unavailable] Try again."


def test_what_is_endless_is_not_read_to_its_end(
    branch: Branch, impostor: Impostor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "ANSWER_BYTES_MAX", 100_000)
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        while sent < 500_000_000:
            sent += 65_536
            yield b" " * 65_536

    impostor.pieces = pieces()
    assert "more than 100000 bytes [console.not_ours]" in asked(branch, impostor)
    assert sent < 50_000_000


@pytest.mark.parametrize(("limit", "code"), [("SILENCE_S", "console.away"), ("ANSWER_S", "console.not_ours")])
def test_what_is_slow_is_not_waited_for(
    branch: Branch, impostor: Impostor, monkeypatch: pytest.MonkeyPatch, limit: str, code: str
) -> None:
    monkeypatch.setattr(conversation, limit, 0.2)
    over = threading.Event()

    class Slow:
        def __iter__(self) -> Iterator[bytes]:
            while not over.wait(0.05 if limit == "ANSWER_S" else 30.0):
                yield b" "

    impostor.pieces = Slow()
    assert f"[{code}]" in asked(branch, impostor)
    over.set()


def test_what_is_packed_is_not_unpacked(branch: Branch, impostor: Impostor) -> None:
    impostor.headers["content-encoding"] = "gzip"
    impostor.pieces = [gzip.compress(b'{"items": [], "next": null}')]
    assert "[console.not_ours]" in asked(branch, impostor, "request", "list")


def test_a_redirect_does_not_carry_the_token_elsewhere(branch: Branch, impostor: Impostor) -> None:
    other = Impostor()
    try:
        impostor.status, impostor.headers["location"] = 307, f"{other.url}/api/v1/requests/cr-1"
        assert "answers 307" in asked(branch, impostor)
        assert "answers 307" in asked(branch, impostor, "request", "remark", "cr-1", "x")
        assert other.tokens == [] and len(impostor.tokens) == 2
    finally:
        other.close()


def test_a_proxy_of_the_environment_does_not_see_the_token(
    branch: Branch, impostor: Impostor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", impostor.url)
    monkeypatch.setenv("http_proxy", impostor.url)
    assert said(branch.by_console("ana", "request", "list", "--json")).strip() == "[]"
    assert impostor.tokens == []


def test_a_list_that_never_ends_does(branch: Branch, impostor: Impostor) -> None:
    line = {"request": "cr-1", "state": "draft", "since": "", "requester": "rita", "title": "x"}
    impostor.pieces = [json.dumps({"items": [line] * 50, "next": "again"}).encode()]
    assert len(json.loads(asked(branch, impostor, "request", "list", "--json"))) == 200
    impostor.pieces = [b'{"items": [], "next": "again"}']
    assert json.loads(asked(branch, impostor, "request", "list", "--json")) == []


def test_what_a_problem_says_does_not_steer_the_terminal(branch: Branch, impostor: Impostor) -> None:
    impostor.status = 409
    problem = {"type": "request.own", "title": "No\x1b[2K\u202e.", "status": 409, "detail": "Go."}
    impostor.pieces = [json.dumps(problem).encode()]
    assert asked(branch, impostor) == "No\ufffd[2K\ufffd [request.own] Go."
    for odd in ({"type": "x y"}, {"type": 7}, {"title": None}, {"detail": []}, {"type": "a." + "b" * 200}):
        impostor.pieces = [json.dumps(problem | odd).encode()]
        assert "[console.not_ours]" in asked(branch, impostor), odd


def test_a_title_does_not_steer_the_terminal(branch: Branch) -> None:
    file = file_of(branch.folder, fresh(**NEW_OWNER))
    words = ["--title", "Fine\x1b[1A\x1b[2K", "--reason", "Why\u202enot"]
    name = json.loads(said(branch.by_console("rita", "request", "draft", file, *words, "--json")))["request"]
    for look in (["show", name], ["list"]):
        text = said(branch.by_console("ana", "request", *look))
        assert "Fine\ufffd" in text and "\x1b" not in text and "\u202e" not in text


def test_a_name_that_is_an_address_is_no_name(branch: Branch) -> None:
    for name in ("../waivers", "cr-1/plan", "cr-1?x", ".", ""):
        assert "[console.name]" in said(branch.by_console("ana", "request", "show", name)), name
    assert branch.way.came == []


def test_a_plan_that_is_none_is_not_sent(branch: Branch) -> None:
    path = branch.folder / "none.json"
    path.write_text("{}")
    far = said(branch.by_console("rita", "request", "draft", str(path), *WORDS))
    assert "[plan.not_one]" in far and branch.way.came == []
    assert far == said(branch.on_database("rita", "request", "draft", str(path), *WORDS))


@pytest.mark.parametrize(
    "url",
    [
        "http://solesource.example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1:8080",
        "http://localhost.:8080",
        "https://ana:secret@example.com",
        "https://example.com/?x=1",
        "https://example.com/#x",
        "https://",
        "https://example.com:port",
        "ftp://127.0.0.1",
        "127.0.0.1:8080",
    ],
)
def test_an_address_to_which_no_token_goes(branch: Branch, url: str) -> None:
    text = said(invoke(branch.far("ana") | {"SOLESOURCE_CONSOLE_URL": url}, "request", "list"))
    assert "[settings.console]" in text and "secret" not in text
    assert branch.token_file("ana").read_text().strip() not in text


@pytest.mark.parametrize(
    "url", ["https://example.com", "http://localhost:8080/", "http://[::1]:1", "http://127.8.0.1"]
)
def test_an_address_to_which_it_goes(url: str) -> None:
    access = ConsoleAccess(url, "secret-token", Path("ana.token"))
    assert "secret-token" not in repr(access)


def test_a_token_that_is_none(branch: Branch) -> None:
    file = branch.folder / "odd.token"
    for content in (b"", b" \n", b"two words", b"two\nlines", "caf\u00e9".encode(), b"\xff\xfe"):
        file.write_bytes(content)
        odd = branch.far("ana") | {"SOLESOURCE_CONSOLE_TOKEN_FILE": str(file)}
        text = said(invoke(odd, "request", "list"))
        assert "[settings.console" in text and "words" not in text and "lines" not in text, content
    for named in (str(branch.folder / "nowhere"), str(branch.folder)):
        gone = branch.far("ana") | {"SOLESOURCE_CONSOLE_TOKEN_FILE": named}
        assert "[settings.console_token]" in said(invoke(gone, "request", "list"))
    without = {name: value for name, value in branch.far("ana").items() if not name.endswith("TOKEN_FILE")}
    assert "[settings.console_token]" in said(invoke(without, "request", "list"))
    authority = branch.far("ana") | {"SOLESOURCE_CONSOLE_CA_FILE": str(branch.folder / "nowhere")}
    assert "[settings.console]" in said(invoke(authority, "request", "list"))
    with pytest.raises(SettingsRefused):
        Settings(console_url="https://example.com").console()


def test_a_token_is_only_made_for_somebody_who_is_there(branch: Branch) -> None:
    users = {"SOLESOURCE_USERS_FILE": str(branch.settings.users_file)}
    assert "[console.users_file]" in said(invoke(users, "user", "token", "nobody"))
    assert "nobody" not in branch.settings.users_file.read_text()
