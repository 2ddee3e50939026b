"""Ownership and Approvals in a real browser: they look as documented, on a phone and without scripts, too."""

from __future__ import annotations

from typing import Any

import pytest

from broker.console.users import make_user
from tests.browser.test_console import Running, browser, page_of, pytestmark, running, shoot
from tests.governed_store import govern

__all__ = ["browser", "pytestmark", "running"]


@pytest.fixture
def names(running: Running) -> dict[str, str]:
    for person in ("rita", "pat", "fay"):
        make_user(running.users, person)
    return govern(running.engine, running.settings)


def test_the_pages_look_as_documented(browser: Any, running: Running, names: dict[str, str]) -> None:
    for scheme, suffix in (("light", ""), ("dark", "-dark")):
        page = page_of(browser, running, color_scheme=scheme)
        page.click("nav >> text=Ownership")
        page.wait_for_selector("#live.is-live")
        shoot(page, f"console-ownership{suffix}")
        page.click("th >> text=customer")
        page.wait_for_selector("svg[role=img] >> nth=0")
        shoot(page, f"console-object{suffix}")
        page.click("nav >> text=Approvals")
        page.wait_for_selector("text=Waiting for you")
        shoot(page, f"console-approvals{suffix}")
        page.click("text=E-mail addresses come from the ERP >> nth=0")
        page.wait_for_selector("#replay")
        shoot(page, f"console-request{suffix}")
        assert page.faults == []
        page.context.close()


def test_a_phone_shows_every_page_without_scrolling_sideways(
    browser: Any, running: Running, names: dict[str, str]
) -> None:
    page = page_of(browser, running, viewport={"width": 360, "height": 740})
    for path in ("/ownership", "/ownership/objects/customer", "/approvals", f"/approvals/{names['asked']}"):
        page.goto(f"{running.base}{path}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, f"{path} is {wide} px wide"


def test_a_steward_approves_by_keyboard_and_without_scripts(
    browser: Any, running: Running, names: dict[str, str]
) -> None:
    page = page_of(browser, running, java_script_enabled=False)
    page.goto(f"{running.base}/approvals/{names['asked']}")
    page.focus("#approve-note")
    page.keyboard.type("Read the 1,187.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 of 2 people have agreed")
    assert "“Read the 1,187.”" in page.inner_text("main")


def test_a_missed_review_is_on_the_board_until_somebody_signs(
    browser: Any, running: Running, names: dict[str, str]
) -> None:
    page = page_of(browser, running)
    page.click("text=1 review of the ownership map is overdue")
    page.click("#reviews + .reviews a")
    page.fill("#note", "Every field looked at.")
    page.click("text=I have reviewed customer")
    page.wait_for_selector("text=✓ reviewed")
    page.goto(running.base)
    assert "overdue" not in page.inner_text("main")
