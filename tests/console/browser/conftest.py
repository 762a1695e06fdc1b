"""A running stack, a browser, and pages in it that may not complain of anything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from bridge.devstack.posting import CallbackReply, Credentials, post, signed_url
from bridge.settings import DEV_APP, DEV_TOKEN
from tests.console.browser import MEANT, PICTURES, chromium
from tests.support.commands import BRIDGE
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.process import Process

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

# With the other tests they are not looked for: `make console-test` brings what they need, and says that they are meant.
collect_ignore_glob = [] if os.environ.get(MEANT) else ["test_*.py"]

T = TypeVar("T")

START_S = 60
WAIT_MS = 30_000
"""So long a page may take to show something, on a machine that has much else to do."""


@dataclass
class DevStack:
    """`bridge dev` with its page."""

    url: str
    """Where callbacks are posted."""
    page_url: str
    token: str
    kafka: str
    redis: str

    def post(self, command: str, body: dict[str, Any] | bytes) -> CallbackReply:
        """Post a callback."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        address = signed_url(self.url, Credentials(DEV_APP, DEV_TOKEN), command)
        return in_a_thread(lambda: post(address, content))

    def recall(self, to: str, unread: int, **fields: Any) -> CallbackReply:
        """Post that a message to somebody was recalled."""
        body = {"CallbackCommand": RECALLED, "From_Account": "bob", "To_Account": to, "UnreadMsgNum": unread}
        return self.post(RECALLED, body | {"MsgKey": f"{free_port()}_{unread}_1700000000"} | fields)

    def produce(
        self, topic: str, values: list[bytes], key: bytes = b"ann", headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Write records to a topic."""

        async def write() -> None:
            producer = AIOKafkaProducer(bootstrap_servers=self.kafka)
            await producer.start()
            try:
                await asyncio.gather(
                    *[await producer.send(topic, value, key, headers=list(headers)) for value in values]
                )
            finally:
                await producer.stop()

        in_a_thread(write)


def in_a_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of what needs an event loop, since playwright's runs in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


RECALLED = "C2C.CallbackAfterMsgWithDraw"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """`bridge dev`, whose page can be looked at."""
    folder = tmp_path_factory.mktemp("dev")
    settings = {"TMPDIR": str(folder), "BRIDGE_CONSOLE_PORT": str(free_port()), "CONSUMERS_POISON_ATTEMPTS": "1"}
    command: list[str | Path] = [BRIDGE, "dev", "--port", str(free_port())]
    process = Process(command, log=folder / "dev.log", env=settings)
    try:
        process.start()
        page = process.wait_for_log(r"^Look at it in a browser: (http://\S+/)#token=(\S+)$", timeout=START_S)
        url = process.wait_for_log(r"^Post callbacks to (http://\S+/)$")[1]
        export = process.wait_for_log(r"CONSUMERS_KAFKA_BOOTSTRAP_SERVERS=(\S+) CONSUMERS_REDIS_URL=(\S+)$")
        process.wait_for_log("^The worker has joined", timeout=START_S)
        yield DevStack(url, page[1], page[2], export[1], export[2])
    finally:
        process.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Root, as in a container, has no sandbox of its own.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=chromium(), args=options)
        yield running
        running.close()


class OpenPage(Protocol):
    """Opens the page: signed in unless not wished, at a view such as `health`; `options` are those of a context."""

    def __call__(self, view: str = "live", *, signed_in: bool = True, **options: Any) -> Page: ...


@dataclass
class Complaints:
    """What pages complained of, and where else they asked."""

    told: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of complaints that are meant."""

    @property
    def unexpected(self) -> list[str]:
        """Those that are not meant."""
        return [one for one in self.told if not any(part in one for part in self.expected)]


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def open_page(browser: Browser, stack: DevStack, complaints: Complaints) -> Iterator[OpenPage]:
    """Opens pages, which afterwards must have had no error, broken no policy, asked no other origin."""
    contexts = []

    def open_one(view: str = "live", *, signed_in: bool = True, **options: Any) -> Page:
        context = browser.new_context(**({"locale": "en-US", "viewport": {"width": 1280, "height": 800}} | options))
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        listen(page, stack.page_url, complaints.told.append)
        if signed_in:
            page.goto(f"{stack.page_url}#token={stack.token}")
            page.get_by_role("button", name="Sign out").or_(page.get_by_role("button", name="退出")).wait_for()
        page.goto(f"{stack.page_url}#/{view}")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints.unexpected == []


def listen(page: Page, own: str, tell: Callable[[str], None]) -> None:
    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            tell(f"error: {message.text}")

    def on_dialog(dialog: Dialog) -> None:
        tell(f"dialog: {dialog.message}")
        dialog.dismiss()

    def on_request(request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(own).netloc:
            tell(f"asked {request.url}")

    page.on("pageerror", lambda error: tell(f"error: {error}"))
    page.on("console", on_console)
    page.on("dialog", on_dialog)
    page.on("request", on_request)


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[Page, str], None]:
    """Makes a screenshot: for the documentation where that is wished."""

    def make(page: Page, name: str) -> None:
        folder = ROOT / "docs" if os.environ.get(PICTURES) else tmp_path
        path = folder / f"{name}.png"
        page.screenshot(path=path)
        assert path.stat().st_size > 10_000, "there is something to see"

    return make
