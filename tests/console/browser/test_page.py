"""The page as people see and use it, in a real browser, of a stack that runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from tests.console.browser.conftest import RECALLED, Complaints, DevStack, OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

VIEWS = ("live", "health", "badges?account=ann", "letters", f"send?command={RECALLED}")
ATTACKS = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)</script>",
    "</script><script>alert(3)</script>",
    '"><svg onload=alert(4)>',
    "javascript:alert(5)",
    "{{constructor.constructor('alert(6)')()}}",
    "${alert(7)}",
    "\u202egnp.exe",
)


def row(page: Page, subject: str, type_: str = "im.c2c.message.recalled") -> Any:
    """The newest row of that type about somebody."""
    return page.locator("table.rows tbody tr", has_text=type_).filter(has_text=subject).first


def test_a_callback_is_seen_within_a_second(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_text("following").wait_for()
    took_s = []
    for number in range(5):
        began = time.monotonic()
        assert stack.recall(f"quick-{number}", number).is_accepted
        row(page, f"quick-{number}").wait_for()
        took_s.append(time.monotonic() - began)
    assert min(took_s) < 1, "the machine may have had much else to do, but not all the time"


def test_an_event_tells_its_whole_way_with_the_badge_before_and_after(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page()
    stack.recall("wayfarer", 3)
    stack.recall("wayfarer", 8)
    row(page, "unread_total=8").click()
    dialog = page.get_by_role("dialog")
    way = dialog.locator("ol.way")
    way.get_by_text("wayfarer: 3 → 8").wait_for()
    way.locator("li.done", has_text="by badges (group badges)").wait_for()
    for told in ("received", "from 203.0.113.7, on ios", "acknowledged: 200", "im.events, partition"):
        assert way.get_by_text(told).count()
    assert dialog.locator("pre").first.inner_text().count('"UnreadMsgNum": 8')
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_what_was_answered_to_a_before_callback_is_told(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page("live?type=message_send.requested")
    stack.post("C2C.CallbackBeforeSendMsg", {"From_Account": "bob", "To_Account": "asked", "MsgBody": []})
    row(page, "asked", "requested").click()
    page.get_by_role("dialog").get_by_text("let happen: no endpoint was asked").wait_for()


def test_filters_leave_only_what_fits_and_say_so_where_nothing_does(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page()
    stack.recall("fits", 1)
    stack.recall("other", 2)
    row(page, "other").wait_for()
    page.get_by_label("Account or group").fill("fits")
    row(page, "other").wait_for(state="detached")
    row(page, "fits").wait_for()
    page.get_by_label("What").select_option("badge")
    row(page, "fits").wait_for(state="detached")
    row(page, "fits", "badge").wait_for()
    page.get_by_label("Text").fill("nothing has this")
    page.get_by_text("Nothing has come yet that fits.").wait_for()
    page.get_by_role("button", name="Clear").click()
    row(page, "other").wait_for()


def test_while_it_is_paused_what_comes_is_counted_and_shown_afterwards(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page("live?kind=event")
    page.get_by_text("following").wait_for()
    stack.recall("before the pause", 1)
    row(page, "before the pause").wait_for()
    page.get_by_role("button", name="Pause", exact=True).click()
    stack.recall("in the pause", 2)
    page.get_by_text("1 more has come").wait_for()
    assert row(page, "in the pause").count() == 0
    page.get_by_role("button", name="Go on", exact=True).click()
    row(page, "in the pause").wait_for()


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_what_a_callback_says_is_shown_as_text_and_does_nothing(
    stack: DevStack, open_page: OpenPage, attack: str
) -> None:
    page = open_page()
    seen = attack.replace("\u202e", "\\u202e")
    fields = {"From_Account": attack, "MsgKey": attack, "CloudCustomData": attack, attack: attack}
    assert stack.recall(attack, 6, **fields).is_accepted
    row(page, seen).click()
    page.get_by_role("dialog").locator("pre", has_text=seen).first.wait_for()
    assert "\u202e" not in page.locator("body").inner_text(), "nothing turns the direction of what stands beside it"
    page.get_by_role("button", name="Badge of").click()
    page.get_by_role("heading", name=f"Badge of {seen}").wait_for()
    page.locator(".count", has_text="6").wait_for()
    assert page.evaluate("document.querySelectorAll('#app img[src=x], #app script, #app svg').length") == 0
    # A dialog, an error or a broken policy would be among the complaints.


def test_an_attack_in_what_nobody_can_read_stays_text_too(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page("letters")
    stack.post("C2C.CallbackAfterSendMsg", b"no json <img src=x onerror=alert(1)>\x00\xff")
    page.locator("tr.letter", has_text="not_json").first.click()
    page.get_by_role("dialog").locator("pre", has_text="<img src=x onerror=alert(1)>").wait_for()


def test_without_the_token_one_may_look_and_is_asked_for_it_to_change_something(
    stack: DevStack, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected.append("403")
    page = open_page(f"send?command={RECALLED}", signed_in=False)
    page.get_by_text("read only").wait_for()
    page.get_by_role("button", name="Post it, signed").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Token").fill("not the token at all")
    dialog.get_by_role("button", name="Sign in").click()
    dialog.get_by_text("that is not the token").wait_for()
    dialog.get_by_label("Token").fill(stack.token)
    dialog.get_by_role("button", name="Sign in").click()
    page.get_by_text("signed in").wait_for()
    assert stack.token not in page.evaluate("document.cookie + JSON.stringify(localStorage) + location.href")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("read only").wait_for()


def test_a_recall_for_bob_is_sent_from_its_form_and_its_event_is_shown(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page("send")
    page.get_by_label("Search").fill("withdraw")
    page.get_by_role("link", name=RECALLED).click()
    page.get_by_label("To_Account").fill("bob")
    page.get_by_label("UnreadMsgNum").fill("21")
    page.get_by_role("button", name="Post it, signed").click()
    page.get_by_text("200 OK").wait_for()
    row(page, "bob").get_by_role("button").click()
    page.get_by_role("dialog").get_by_text("bob", exact=False).first.wait_for()
    page.keyboard.press("Escape")
    page.goto(f"{stack.page_url}#/badges?account=bob")
    page.locator(".count", has_text="21").wait_for()
    page.get_by_text("the one that the badge is from").wait_for()


def test_a_dead_letter_is_understood_repaired_and_replayed_and_its_badge_moves(
    stack: DevStack, open_page: OpenPage
) -> None:
    account = "victim"
    key = f"im:badge:1400000000:{account}"
    with Redis.from_url(stack.redis) as redis:
        redis.set(key, "somebody else's")
        stack.recall(account, 5)
        page = open_page(f"letters?account={account}&group=badges")
        page.locator("tr.letter", has_text=account).click()
        dialog = page.get_by_role("dialog").filter(has_text="Dead letter")
        dialog.get_by_text(re.compile(f"the key {key} .*delete that key")).first.wait_for()
        redis.delete(key)
    dialog.get_by_role("button", name="Replay").click()
    page.get_by_text("1 would be replayed").wait_for()
    page.get_by_role("button", name="Do it").click()
    page.get_by_text("1 replayed").wait_for()
    page.get_by_role("dialog").last.get_by_role("button", name="Close").last.click()
    dialog.get_by_text("replayed", exact=True).wait_for()
    page.goto(f"{stack.page_url}#/badges?account={account}")
    page.locator(".count", has_text="5").wait_for()


def test_dead_letters_are_dropped_after_a_dry_run_and_exported(stack: DevStack, open_page: OpenPage) -> None:
    stack.produce("im.events", [b"no event at all"], key=b"dropped")
    page = open_page("letters?account=dropped&group=badges")
    page.locator("tr.letter", has_text="not_an_event").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    assert b"no event at all" in download.value.path().read_bytes()
    page.get_by_role("button", name="Drop all that fit").click()
    page.get_by_text("1 would be dropped").wait_for()
    page.get_by_role("button", name="Do it").click()
    page.get_by_text("1 dropped").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    page.get_by_text("None fits.").wait_for()


def test_everything_can_be_reached_by_the_keyboard(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page()
    stack.recall("reached", 4)
    row(page, "reached").wait_for()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.tagName") == "INPUT"
    page.get_by_label("Account or group").fill("reached")
    row(page, "reached", "badge").wait_for()
    page.locator("body").click(position={"x": 2, "y": 2})
    for key in ("j", "j", "k", "Enter"):
        page.keyboard.press(key)
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.keyboard.press("p")
    page.get_by_role("button", name="Go on", exact=True).wait_for()
    for number, heading in enumerate(("Live", "Health", "Badges", "Dead letters", "Send"), 1):
        page.keyboard.press(str(number))
        page.locator("nav a[aria-current=page]", has_text=heading).wait_for()


UNNAMED = """() => [...document.querySelectorAll('input, select, textarea, button, a[href]')].filter((one) => {
  const labelled = one.labels?.length ? [...one.labels].map((label) => label.textContent).join('') : '';
  return !(labelled + (one.getAttribute('aria-label') ?? '') + one.textContent).trim();
}).map((one) => one.outerHTML)"""


@pytest.mark.parametrize("view", VIEWS, ids=range(len(VIEWS)))
def test_a_view_fits_a_phone_and_everything_in_it_has_a_name(stack: DevStack, open_page: OpenPage, view: str) -> None:
    stack.recall("ann", 9, MsgKey="x" * 300)
    page = open_page(view, viewport={"width": 360, "height": 740})
    page.locator("main > *").nth(1).wait_for()
    page.wait_for_load_state("networkidle") if view.startswith("send") else page.locator("main").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(UNNAMED) == []


def test_what_is_opened_fits_a_phone_however_long_the_names_are(stack: DevStack, open_page: OpenPage) -> None:
    name = "@TGS#_" + "x" * 90
    stack.recall(name, 9)
    page = open_page(viewport={"width": 360, "height": 740})
    page.locator("tr.event", has_text=name).first.click()
    page.get_by_role("link", name=f"Badge of {name}").or_(
        page.get_by_role("button", name=f"Badge of {name}")
    ).wait_for()
    assert (
        page.evaluate(
            "(({scrollWidth, clientWidth}) => scrollWidth - clientWidth)(document.querySelector('dialog article'))"
        )
        <= 0
    )


def test_it_is_dark_where_the_system_is_and_as_one_chooses(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page(color_scheme="dark")
    brightness = (
        "() => getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    assert max(page.evaluate(brightness)) < 80
    page.get_by_label("Theme").select_option("light")
    page.wait_for_function("document.documentElement.dataset.theme === 'light'")
    assert min(page.evaluate(brightness)) > 200


def test_it_speaks_the_language_of_the_browser_and_the_one_that_is_chosen(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page(locale="zh-CN")
    page.get_by_role("link", name="死信").wait_for()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.get_by_role("link", name="发送").click()
    page.get_by_text("单聊消息被用户或管理员撤回。").wait_for()
    page.get_by_label("语言").select_option("en")
    page.get_by_text("A one-to-one message was recalled").wait_for()
    page.get_by_role("link", name="Dead letters").wait_for()
    page.reload()
    page.get_by_role("link", name="Dead letters").wait_for()
    open_page(locale="fr-FR").get_by_role("link", name="Dead letters").wait_for()


@pytest.mark.parametrize(("locale", "suffix"), [("en-US", ""), ("zh-CN", "-zh-CN")], ids=["en", "zh"])
def test_pictures_of_it_can_be_made(
    stack: DevStack, open_page: OpenPage, picture: Callable[[Page, str], None], locale: str, suffix: str
) -> None:
    page = open_page(locale=locale)
    stack.post("C2C.CallbackAfterSendMsg", b"no json")
    for unread in (2, 3, 5):
        stack.recall(f"Mona{suffix}", unread)
        page.locator("tr.badge", has_text=f"unread={unread}").first.wait_for()
    stack.post("C2C.CallbackBeforeSendMsg", {"From_Account": "bob", "To_Account": f"Mona{suffix}", "MsgBody": []})
    stack.post("C2C.CallbackAfterSendMsg", {"From_Account": "bob", "To_Account": f"Mona{suffix}", "MsgBody": []})
    row(page, f"Mona{suffix}", "requested").wait_for()
    row(page, f"Mona{suffix}", "sent").wait_for()
    picture(page, f"page-live{suffix}")
    row(page, f"Mona{suffix}").click()
    page.get_by_text(re.compile("Mona.*3 → 5")).wait_for()
    picture(page, f"page-event{suffix}")


COLOURS = """() => [...document.querySelectorAll('.chip')].map((one) => {
  const [text, page] = [one, document.documentElement].map((each) => getComputedStyle(each));
  const light = (colour) => colour.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3;
  return Math.abs(light(text.color) - light(page.backgroundColor));
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reasons_of_dead_letters_can_be_read(stack: DevStack, open_page: OpenPage, scheme: str) -> None:
    stack.post("C2C.CallbackAfterSendMsg", b"no json")
    page = open_page("letters", color_scheme=scheme)
    page.locator(".chip", has_text="not_json").wait_for()
    assert min(page.evaluate(COLOURS)) > 90
