"""Whoever wishes the page ill: by what dead letters say, by addresses, by size, and by answers that come too late."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.browser.conftest import WAIT_MS, Complaints, DevStack, OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

MARKUP = "<img src=x onerror=alert(1)></td></table><script>alert(2)</script>\u202e\u200b"
SEEN = MARKUP.replace("\u202e", "\\u202e").replace("\u200b", "\\u200b")


def has_markup(page: Page) -> int:
    """How many elements there are that nobody but an attacker would have made."""
    count: int = page.evaluate("document.querySelectorAll('#app img[src=x], #app script, #app table table').length")
    return count


def test_all_that_a_dead_letter_says_is_text(stack: DevStack, open_page: OpenPage) -> None:
    names = ("reason", "detail", "group", "traceback", "query", "original-topic", MARKUP)
    headers = [(name, f"{name} {MARKUP}".encode()) for name in names]
    stack.produce("im.events.dlq", [json.dumps({"subject": MARKUP, "type": MARKUP}).encode()], b"attack", headers)
    page = open_page()
    page.locator("tr.letter", has_text=f"reason {SEEN}").first.click()
    dialog = page.get_by_role("dialog")
    for name in ("detail", "group", "traceback", "original-topic"):
        dialog.get_by_text(f"{name} {SEEN}").first.wait_for()
    assert has_markup(page) == 0
    page.keyboard.press("Escape")
    page.goto(f"{stack.page_url}#/letters")
    page.locator(".chip", has_text=SEEN).first.click()
    page.locator("tr.letter", has_text=SEEN).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    assert download.value.suggested_filename == "dead-letters.ndjson"
    assert has_markup(page) == 0


@pytest.mark.parametrize(
    "address",
    [
        "constructor",
        "__proto__",
        "toString/x",
        "letters/%25E0%25A4%25",
        "letters/..%2F..",
        "live?type=%3Cscript%3E",
        "%",
    ],
    ids=range(7),
)
def test_an_address_of_anybody_opens_the_page_and_no_more(
    stack: DevStack, open_page: OpenPage, complaints: Complaints, address: str
) -> None:
    complaints.expected.append("400")
    page = open_page(address)
    page.locator("nav a[aria-current=page]").wait_for()
    page.locator("form").first.wait_for()


def test_a_megabyte_and_ten_thousand_levels_are_shown_and_the_page_goes_on(
    stack: DevStack, open_page: OpenPage
) -> None:
    event = {"specversion": "1.0", "type": "im.x.long", "subject": "long", "data": {"text": "x" * 900_000}}
    deep = b'{"specversion":"1.0","type":"im.x.deep","subject":"deep","data":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    page = open_page()
    page.get_by_text("following").wait_for()
    stack.produce("im.events", [json.dumps(event).encode(), deep], b"large")
    page.locator("tr", has_text="im.x.long").first.click()
    page.get_by_role("dialog").locator("pre", has_text="xxx").last.wait_for()
    page.keyboard.press("Escape")
    page.get_by_label("Text").fill("[[[[")
    page.locator("tr.record").first.click()
    page.get_by_role("dialog").locator("pre", has_text=re.compile(r"\[{10000}")).first.wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clear").click()
    stack.recall("after the large", 1)
    page.locator("tr.event", has_text="after the large").first.wait_for()


def test_whoever_has_signed_out_stays_so_where_an_answer_of_before_comes_later(
    stack: DevStack, open_page: OpenPage
) -> None:
    page = open_page()
    page.clock.install()
    page.reload()
    page.get_by_text("signed in").wait_for()
    held: list[tuple[Route, Any]] = []

    def hold(route: Route) -> None:
        answer = route.fetch()
        if held:
            route.fulfill(response=answer)
        else:
            held.append((route, answer))

    page.route("**/api/access", hold)
    page.clock.fast_forward(20_000)
    page.wait_for_timeout(0)
    wait_for(page, lambda: bool(held))
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("read only").wait_for()
    route, answer = held[0]
    with page.expect_response("**/api/access"):
        route.fulfill(response=answer)
    for _ in range(3):  # What is answered to these is read after that, and drawn.
        page.evaluate("fetch('api/access').then((response) => response.json())")
    assert page.locator(".right").inner_text() == "read only"


def wait_for(page: Page, is_so: Any) -> None:
    """Let the browser go on until something is so."""
    for _ in range(WAIT_MS // 100):
        if is_so():
            return
        page.evaluate("() => new Promise((done) => setTimeout(done, 0))")
    raise TimeoutError
