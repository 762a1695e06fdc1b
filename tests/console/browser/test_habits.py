"""What people do with a page all day: many tabs, its address typed again, a reload in the midst of something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson
from redis import Redis

from tests.console.browser.conftest import RECALLED, Complaints, DevStack, OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

MORE_THAN_CONNECTIONS = 8
"""A browser gives one address six connections."""
LOOKED_AT = """is_so => {
  Object.defineProperty(document, 'hidden', {configurable: true, get: () => !is_so});
  document.dispatchEvent(new Event('visibilitychange'));
}"""
EXACT = ("9007199254740993", "12345678901234567890")


def test_more_tabs_than_a_browser_has_connections_follow_each_when_it_is_looked_at(
    stack: DevStack, open_page: OpenPage
) -> None:
    pages = [open_page()]
    pages[0].get_by_text("following").wait_for()
    for _ in range(MORE_THAN_CONNECTIONS):
        pages[-1].evaluate(LOOKED_AT, False)  # Another tab is in front: playwright's all think that they are.
        pages.append(pages[0].context.new_page())
        pages[-1].goto(stack.page_url)
        pages[-1].get_by_text("following").wait_for()
    stack.recall("many tabs", 1)
    pages[-1].locator("tr.event", has_text="many tabs").wait_for()
    pages[-1].evaluate(LOOKED_AT, False)
    pages[0].evaluate(LOOKED_AT, True)
    pages[0].locator("tr.event", has_text="many tabs").wait_for()


def test_the_address_with_the_token_signs_in_where_the_page_is_open_already(
    stack: DevStack, open_page: OpenPage
) -> None:
    page = open_page(signed_in=False)
    page.get_by_text("read only").wait_for()
    page.evaluate("address => location.assign(address)", f"{stack.page_url}#token={stack.token}")
    page.get_by_text("signed in").wait_for()
    assert stack.token not in page.url


def test_numbers_that_a_browser_would_round_are_shown_and_sent_as_they_are(
    stack: DevStack, open_page: OpenPage
) -> None:
    page = open_page()
    stack.recall("exact", 3, Numbers=[int(one) for one in EXACT])
    page.locator("tr.event", has_text="exact").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator("pre").nth(1).wait_for()
    for told in dialog.locator("pre").all_inner_texts():
        assert all(one in told for one in EXACT)
    dialog.get_by_role("button", name="Send again as a sample").click()
    page.get_by_label("UnreadMsgNum").fill("9007199254740995")
    page.get_by_role("button", name="Post it, signed").click()
    page.get_by_text("200 OK").wait_for()
    became = page.locator("table.rows .fields").inner_text()
    assert all(one in became for one in (*EXACT, "9007199254740995"))


def test_the_history_of_an_account_of_two_apps_is_a_chart_of_each(stack: DevStack, open_page: OpenPage) -> None:
    for app, unread in (("1400000000", 2), ("1400000001", 900)):
        badge = {"app_id": app, "account": "twin", "unread": unread, "event_id": app, "time": "2026-01-31T12:00:00Z"}
        event = {"specversion": "1.0", "type": "im.c2c.message.recalled", "subject": "twin", "data": {}}
        event["source"] = f"/tencent-im/{app}"
        stack.produce("im.badges", [orjson.dumps(badge)], f"{app}:twin".encode())
        stack.produce("im.events", [orjson.dumps(event)], b"twin")
    page = open_page("badges?account=twin")
    page.locator("figure.chart", has_text="App 1400000000").locator("canvas").wait_for()
    page.locator("figure.chart", has_text="App 1400000001").locator("canvas").wait_for()


def test_from_an_event_one_comes_back_to_the_badge_that_one_came_from(stack: DevStack, open_page: OpenPage) -> None:
    stack.recall("there-and-back", 4)
    page = open_page("badges?account=there-and-back")
    page.get_by_role("button", name=RECALLED).click()
    page.get_by_role("dialog").get_by_role("button", name="Badge of there-and-back").click()
    page.get_by_role("dialog").wait_for(state="detached")


def test_a_replay_that_was_begun_before_a_reload_can_be_looked_at_and_stopped(
    stack: DevStack, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected.append("503")
    key = "im:badge:1400000000:reloaded"
    with Redis.from_url(stack.redis) as redis:
        redis.set(key, "somebody else's")
        stack.recall("reloaded", 5)
        page = open_page("letters?account=reloaded&group=badges")
        page.locator("tr.letter", has_text="reloaded").wait_for()
        redis.delete(key)
        redis.client_pause(600_000, all=False)  # Nothing is written: the worker waits for Redis.
        try:
            begin(page)
            page.get_by_role("button", name="Stop").wait_for()
            page.reload()
            page.locator("tr.letter", has_text="reloaded").wait_for()
            begin(page)
            page.get_by_text("somebody replays or drops already").wait_for()
            page.get_by_role("button", name="Look at it").click()
            page.get_by_role("button", name="Stop").click()
            page.get_by_text("it was ended").wait_for()
        finally:
            redis.client_unpause()


def begin(page: Page) -> None:
    page.get_by_role("button", name="Replay all that fit").click()
    page.get_by_text(re.compile("would be replayed")).wait_for()
    page.get_by_role("button", name="Do it").click()
