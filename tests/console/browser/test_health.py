"""What the view of health tells, of a stack that runs and of states that would take weeks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.console.browser.conftest import DevStack, OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


def test_health_shows_the_numbers_of_the_status_and_the_last_hour(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page("health")
    page.get_by_text("All is well").wait_for()
    page.get_by_text("nothing: all that was acknowledged is in Kafka").wait_for()
    page.get_by_text("none: all events are handled").wait_for()
    page.locator("figure.chart canvas").nth(4).wait_for()


def test_health_tells_the_states_of_processes_in_the_language_of_the_page(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page("health", locale="zh-CN")
    page.get_by_role("cell", name="服务中").wait_for()
    assert page.get_by_role("cell", name="serving").count() == 0


def test_health_tells_how_long_there_is_as_the_terminal_does(stack: DevStack, open_page: OpenPage) -> None:
    """Of a status as it is, with the figures of states that take weeks, or several processes."""
    grows = {"events": 3, "events_per_s": 1.0, "bytes_per_s": 900.0}
    soon = {"full_at": "2026-01-02T03:04:05.678Z", "full_in_s": 600.0}
    told: dict[str, tuple[dict[str, Any], list[int]]] = {
        "full at ": (grows | soon, [1000]),
        "not full for weeks if it goes on like this": (grows, [1000]),
        "until when is not known yet": (grows | {"events_per_s": None, "bytes_per_s": None}, [1000]),
        "not filling up": ({"events": 0, "events_per_s": 0.0, "bytes_per_s": 0.0}, [1000]),
        "full: callbacks are refused while Kafka is away": (grows, [0, 0]),
        "1 of 2 processes are full; the others: full at ": (grows | soon, [0, 1000]),
        "1 of 2 processes are full; the others: not filling up": (grows | {"bytes_per_s": 0.0}, [0, 1000]),
    }
    page = open_page("health")
    room = page.locator("dl.facts div", has=page.get_by_text("Room", exact=True)).locator("dd")
    for words, (total, rooms) in told.items():

        def change(ingress: dict[str, Any], total: dict[str, Any] = total, rooms: list[int] = rooms) -> None:
            ingress["total"] |= {"full_at": None, "full_in_s": None} | total
            (one,) = ingress["processes"]
            ingress["processes"] = [
                one | {"pid": at, "disk": one["disk"] | {"room_bytes": n}} for at, n in enumerate(rooms)
            ]

        answer_with(page, change)
        room.filter(has_text=f" · {words}").wait_for()


def test_of_an_ingress_that_does_not_answer_nothing_is_said_to_be_well(stack: DevStack, open_page: OpenPage) -> None:
    page = open_page("health")
    page.get_by_text("nothing: all that was acknowledged is in Kafka").wait_for()
    silent = [{"host": "h", "pid": 7, "problem": "does not answer"}]
    answer_with(page, lambda ingress: ingress.update(silent=silent))
    page.get_by_text("nothing in the processes that answer").wait_for()
    answer_with(page, lambda ingress: ingress.update(silent=silent, processes=[]))
    ingress = page.get_by_role("region", name="Ingress")
    ingress.get_by_text("nothing in the processes that answer").wait_for(state="detached")
    ingress.get_by_text("7 @ h does not answer").wait_for()
    assert not [told for told in ("Waiting", "Room", "Disk") if ingress.get_by_text(told, exact=True).count()]


def answer_with(page: Page, change: Callable[[dict[str, Any]], object]) -> None:
    """Let the page be told of an ingress that is, with something changed."""

    def answer(route: Route) -> None:
        response = route.fetch()
        health = response.json()
        change(health["ingress"])
        route.fulfill(response=response, json=health)

    page.unroute_all(behavior="wait")
    page.route("**/api/health", answer)
