"""What the five commonest questions cost: clicks and keys, from the page as it opens. docs/page.md has the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from tests.console.browser.conftest import RECALLED, DevStack, OpenPage
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PAGES = {"en-US": ROOT / "docs" / "page.md", "zh-CN": ROOT / "docs" / "zh-CN" / "page.md"}


class Person:
    """Somebody who uses the page, and what that costs.

    Args:
        page: as it opens.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0
        self.keys = 0

    def click(self, what: Locator) -> None:
        """Click on something."""
        self.clicks += 1
        what.click()

    def view(self, name: str) -> None:
        """Go to a view."""
        self.click(self.page.get_by_role("navigation").get_by_role("link", name=name))

    def type(self, text: str, *, into: str) -> None:
        """Type, and Enter at the end; the field that is meant has the focus already."""
        self.page.wait_for_function("name => document.activeElement?.labels?.[0]?.textContent.includes(name)", arg=into)
        self.keys += len(text) + 1
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    @property
    def cost(self) -> tuple[int, int]:
        """Clicks and keys."""
        return self.clicks, self.keys


def told_costs(path: Any) -> list[tuple[int, int]]:
    """Clicks and keys of each task, as a page of the documentation has them."""
    rows = re.findall(r"^\|.*\| *(\d+) *\| *(\d+) *\|$", path.read_text("utf-8"), re.MULTILINE)
    return [(int(clicks), int(keys)) for clicks, keys in rows]


@pytest.fixture
def person(stack: DevStack, open_page: OpenPage) -> Person:
    page = open_page()
    page.get_by_text("following").wait_for()
    return Person(page)


def check(person: Person, task: int) -> None:
    """The cost is small, and the one that both pages of the documentation tell."""
    assert person.clicks <= 3
    for path in PAGES.values():
        assert told_costs(path)[task] == person.cost


def test_which_callback_moved_the_badge_of_ann_last(stack: DevStack, person: Person) -> None:
    stack.recall("ann", 7)
    person.page.locator("tr.badge", has_text="unread=7").first.wait_for()
    person.view("Badges")
    person.type("ann", into="Account")
    person.page.get_by_text("Moved last by").wait_for()
    person.page.get_by_role("button", name=RECALLED).wait_for()
    check(person, 0)


def test_why_is_this_a_dead_letter_and_its_repair(stack: DevStack, person: Person) -> None:
    key = "im:badge:1400000000:task-two"
    with Redis.from_url(stack.redis) as redis:
        redis.set(key, "somebody else's")
        stack.recall("task-two", 5)
        person.click(person.page.locator("tr.letter", has_text="task-two").first)
        dialog = person.page.get_by_role("dialog")
        dialog.get_by_text(re.compile(f"the key {key} .*delete that key")).first.wait_for()
        redis.delete(key)
    person.click(dialog.get_by_role("button", name="Replay"))
    person.page.get_by_text("1 would be replayed").wait_for()
    person.click(person.page.get_by_role("button", name="Do it"))
    person.page.get_by_text("1 replayed").wait_for()
    check(person, 1)


def test_is_anything_waiting(person: Person) -> None:
    person.view("Health")
    person.page.get_by_text("nothing: all that was acknowledged is in Kafka").wait_for()
    person.page.get_by_text("none: all events are handled").wait_for()
    check(person, 2)


def test_what_did_we_answer_to_this_before_callback(stack: DevStack, person: Person) -> None:
    stack.post("C2C.CallbackBeforeSendMsg", {"From_Account": "bob", "To_Account": "task-four", "MsgBody": []})
    person.click(person.page.locator("tbody tr", has_text="requested").filter(has_text="task-four").first)
    person.page.get_by_role("dialog").get_by_text("let happen: no endpoint was asked").wait_for()
    check(person, 3)


def test_send_me_a_recall_for_bob(stack: DevStack, person: Person) -> None:
    person.view("Send")
    person.click(person.page.get_by_role("link", name=RECALLED))
    person.type("bob", into="To_Account")
    person.page.get_by_text("200 OK").wait_for()
    person.page.locator("table.rows td.subject", has_text="bob").wait_for()
    check(person, 4)


def test_the_same_by_keys_alone(stack: DevStack, person: Person) -> None:
    stack.recall("ann", 6)
    person.page.locator("tr.badge", has_text="unread=6").first.wait_for()
    for key in ("3", "/"):
        person.page.keyboard.press(key)
    person.type("ann", into="Account")
    person.page.get_by_role("button", name=RECALLED).wait_for()
    for key in ("5", "/"):
        person.page.keyboard.press(key)
    person.type("recall", into="Search")
    person.type("bob", into="To_Account")
    person.page.get_by_text("200 OK").wait_for()
    assert person.clicks == 0
