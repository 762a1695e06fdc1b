"""Whether people who see, hear and type differently can use the page: what axe-core says of each view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.browser.conftest import RECALLED, DevStack, OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

VIEWS = ("live", "health", "badges", "badges?account=ann", "letters", "send", f"send?command={RECALLED}")


def complaints_of_axe(page: Page) -> list[str]:
    """What is wrong, and where."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    nodes = [(one["id"], node) for one in found for node in one["nodes"]]
    return [f"{rule}: {node['html'][:200]} {node['failureSummary'][:300]}" for rule, node in nodes]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS, ids=range(len(VIEWS)))
def test_a_view_breaks_no_rule_of_accessibility(stack: DevStack, open_page: OpenPage, view: str, scheme: str) -> None:
    stack.recall("ann", 9)
    stack.post("C2C.CallbackAfterSendMsg", b"no json")
    page = open_page(view, color_scheme=scheme, reduced_motion="reduce")
    page.locator("main > *").nth(1).wait_for()
    page.locator("table, .nothing, form").first.wait_for()
    assert complaints_of_axe(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_opened_breaks_none_either(stack: DevStack, open_page: OpenPage, scheme: str) -> None:
    stack.recall("ann", 9)
    stack.post("C2C.CallbackAfterSendMsg", b"no json")
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    for row in ("tr.event", "tr.letter"):
        page.locator(row).first.click()
        page.get_by_role("dialog").locator("pre").first.wait_for()
        assert complaints_of_axe(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("dialog").get_by_label("Token").wait_for()
    assert complaints_of_axe(page) == []
