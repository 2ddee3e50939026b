"""The console in a real browser (chromium): it looks as documented, works by keyboard and without scripts.

With SOLESOURCE_SCREENSHOTS=1 it takes the screenshots in docs/images. Without chromium the tests are skipped,
in one loud counted line.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from broker.clock import now_ms
from broker.console.app import ConsoleServer
from broker.console.settings import ConsoleSettings
from broker.console.users import make_login_link
from broker.embedded.files import free_port
from broker.store.cases import index_cases
from broker.store.engine import Engine, writing
from broker.store.syncs import write_syncs
from broker.store.trail import index_trail
from tests.console_store import console, evaluated, fill
from tests.envelopes import case, trail

CHROMIUM = Path("/usr/bin/chromium")
IMAGES = Path(__file__).parents[2] / "docs" / "images"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason=f"NO BROWSER: {CHROMIUM} is missing, pages were not looked at"
    ),
]


@dataclass
class Running:
    """A console that listens, its store, and a way in."""

    base: str
    engine: Engine
    users: Path
    server: ConsoleServer
    settings: ConsoleSettings

    def link(self) -> str:
        return make_login_link(self.users, "ana", self.base)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    port = free_port()
    app, engine, _, settings = console(tmp_path, port=port)
    fill(engine)
    server = ConsoleServer(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_evaluating, args=(engine, stop), daemon=True)
    keeper.start()
    yield Running(f"http://127.0.0.1:{port}", engine, settings.users_file, server, settings)
    stop.set()
    keeper.join(5)
    server.should_exit = True
    thread.join(10)
    engine.dispose()


def _keep_evaluating(engine: Engine, stop: threading.Event) -> None:
    """Stands in for control: an evaluation every second, or the page would say that it cannot tell."""
    while not stop.wait(1.0):
        with writing(engine) as connection:
            write_syncs(connection, [evaluated("crm", "erp", now_ms()), evaluated("erp", "crm", now_ms())])


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()


def page_of(browser: Any, running: Running, **options: Any) -> Any:
    context = browser.new_context(**({"viewport": {"width": 1180, "height": 800}} | options))
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.faults = faults
    page.goto(running.link())
    return page


def shoot(page: Any, name: str) -> None:
    if os.environ.get("SOLESOURCE_SCREENSHOTS") == "1":
        IMAGES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(IMAGES / f"{name}.png"), full_page=True)


def test_the_pages_look_as_documented_and_raise_no_fault(browser: Any, running: Running):
    for scheme, suffix in (("light", ""), ("dark", "-dark")):
        page = page_of(browser, running, color_scheme=scheme)
        page.wait_for_selector("#live.is-live")
        shoot(page, f"console-today{suffix}")
        page.click("text=Needs review >> nth=0")
        page.wait_for_selector("#live.is-live")
        shoot(page, f"console-needs-review{suffix}")
        page.goto(f"{running.base}/cases/case-phone")
        page.wait_for_selector("#live.is-live")
        shoot(page, f"console-case{suffix}")
        assert page.faults == []
        page.context.close()


def test_a_phone_shows_every_page_without_scrolling_sideways(browser: Any, running: Running):
    page = page_of(browser, running, viewport={"width": 360, "height": 740})
    for path in ("/", "/review", "/cases/case-credit?show=all"):
        page.goto(f"{running.base}{path}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, f"{path} is {wide} px wide"
    page.goto(f"{running.base}/cases/case-phone")
    shoot(page, "console-case-phone")


def test_new_cases_are_announced_and_rows_do_not_move(browser: Any, running: Running):
    page = page_of(browser, running)
    page.goto(f"{running.base}/review")
    page.wait_for_selector("#live.is-live")
    before = page.inner_text(".cases")
    with writing(running.engine) as connection:
        index_cases(
            connection, [case("case-new", key=b"C-5555", received_ms=now_ms(), gate_time_ms=now_ms())]
        )
    page.wait_for_selector("#new-cases:not([hidden])")
    assert page.inner_text("#new-cases") == "1 new"
    assert page.inner_text(".cases").splitlines()[0] == before.splitlines()[0]
    page.click("#new-cases")
    page.wait_for_selector("text=C-5555")


def test_filters_work_in_place_and_in_the_address(browser: Any, running: Running):
    page = page_of(browser, running)
    page.goto(f"{running.base}/review")
    page.select_option("#f-system", "crm")
    page.wait_for_url("**system=crm**")
    page.wait_for_function("!document.body.innerText.includes('C-1042')")
    assert "C-0007" in page.inner_text("#found")


def test_a_decision_waits_until_it_is_confirmed(browser: Any, running: Running):
    page = page_of(browser, running)
    page.goto(f"{running.base}/cases/case-phone")
    page.fill("#note", "The customer called.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Sent, waiting.")
    closed = trail(
        "case_closed", key=b"C-1042", case_id="case-phone", by="ana", result="keep", gate_time_ms=now_ms()
    )
    with writing(running.engine) as connection:
        index_trail(connection, [((1, 1), closed)])
    page.wait_for_selector("text=Done.", timeout=8_000)


def test_reading_and_deciding_work_without_scripts(browser: Any, running: Running):
    page = page_of(browser, running, java_script_enabled=False)
    assert "Customer records are late" in page.inner_text("main")
    page.goto(f"{running.base}/review?system=erp")
    page.click("text=C-1042")
    page.fill("#note", "The customer called.")
    page.get_by_role("button", name="Ask the owner").click()
    assert "Sent, waiting." in page.inner_text("main")


def test_a_page_says_when_it_is_no_longer_live(browser: Any, running: Running):
    page = page_of(browser, running)
    page.wait_for_selector("#live.is-live")
    running.server.should_exit = True
    page.wait_for_selector("#live.is-paused", timeout=25_000)
    assert "paused: data as of" in page.inner_text("#live")
