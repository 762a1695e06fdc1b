"""What `bridge demo` does: takes one callback its whole way, and looks at every step of it."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from typing import Any, NoReturn

import orjson
import typer
from aiokafka import ConsumerRecord
from pydantic import SecretStr
from rich.text import Text

from bridge.contract.samples import RECALLED, Sample
from bridge.devstack.embedded import NotInstalledError
from bridge.devstack.foreground import run_in_foreground, why_not_here
from bridge.devstack.posting import Credentials, NoReplyError, post, signed_url
from bridge.devstack.service import Service, ServiceError
from bridge.devstack.stack import BADGES, EVENTS, Stack, running_stack
from bridge.events.introspection import fields_of
from bridge.events.registry import find
from bridge.events.strict import ENVELOPE_FIELDS
from bridge.settings import DEV_APP, DEV_TOKEN
from common import logs
from common.kafka import diagnosis
from common.kafka.follower import Follower
from common.program import command_line
from common.terminal import Output, printable

EVENT_TIMEOUT_S = 15.0
BADGE_TIMEOUT_S = 30.0


def run() -> NoReturn:
    """Show it.

    Raises:
        typer.Exit: always; with status 1 if a step fails.
    """
    output = Output()
    logs.configure(log_format="text", level="error")
    diagnosis.watch()
    demonstration = Demo(output)
    try:
        signalled = run_in_foreground(demonstration.run)
    except (NotInstalledError, OSError) as error:
        output.error(why_not_here(error) if isinstance(error, OSError) else str(error))
        raise typer.Exit(1) from None
    if signalled:
        raise typer.Exit(130)
    raise typer.Exit(0 if demonstration.succeeded else 1)


class StepFailedError(Exception):
    """Something that should be seen was not. The message says what; `service` is who should have made it."""

    def __init__(self, message: str, service: Service) -> None:
        super().__init__(message)
        self.service = service


class Demo:
    """Runs the demonstration and prints it. `succeeded` once everything was seen."""

    def __init__(self, output: Output) -> None:
        self.succeeded = False
        self._output = output
        self._step = 0
        self._title = ""
        self._started = time.monotonic()

    async def run(self) -> None:
        """Show every step, or say which failed and why.

        Raises:
            NotInstalledError: the stack cannot be started here.
        """
        try:
            self._begin("start: an embedded broker and Redis, the ingress, the worker for badges")
            async with running_stack({DEV_APP: [SecretStr(DEV_TOKEN)]}) as stack:
                await self._show(stack)
        except (StepFailedError, ServiceError) as error:
            self._failed(str(error), error.service)
            return
        self.succeeded = True
        self._output.line()
        seconds, bridge = time.monotonic() - self._started, command_line("bridge")
        self._output.line(
            f"All {self._step} steps were seen, in {seconds:.1f} s, and all processes have ended.", "bold green"
        )
        self._output.line(
            f"Next: `{bridge} dev` stays up for callbacks of yours; `{bridge} send` posts any documented one."
        )

    async def _show(self, stack: Stack) -> None:
        self._tell(f"Kafka {stack.broker.bootstrap} (a stand-in in memory), Redis {stack.redis.url}")
        body = orjson.loads(RECALLED.body)
        await stack.while_running(self._post(stack, RECALLED))
        event = await stack.while_running(self._read_event(stack, body))
        await stack.while_running(self._read_badge_record(stack, body, event))
        await stack.while_running(self._read_badge(stack, body))

    async def _post(self, stack: Stack, callback: Sample) -> None:
        url = signed_url(stack.url, Credentials(DEV_APP, DEV_TOKEN), callback.command)
        self._begin("request: a one-to-one message was recalled, posted as the platform does")
        self._tell(f"POST {url}")
        self._show_json(callback.body)
        try:
            reply = await post(url, callback.body)
        except NoReplyError as error:
            raise StepFailedError(str(error), stack.ingress) from error
        self._begin("reply: sent once the event is durable")
        milliseconds = reply.seconds * 1000
        self._tell(
            f"{reply.status} {reply.reason} {printable(reply.body.decode(errors='replace'))} in {milliseconds:.0f} ms"
        )
        if not reply.is_accepted:
            raise StepFailedError("the callback was not accepted", stack.ingress)

    async def _read_event(self, stack: Stack, body: dict[str, Any]) -> dict[str, Any]:
        self._begin(f"event: read back from the topic {EVENTS}")
        record = await _first(stack, EVENTS, EVENT_TIMEOUT_S, stack.ingress)
        event = _object(record, stack.ingress)
        self._tell(f"partition {record.partition}, offset {record.offset}, key {record.key.decode(errors='replace')}")
        self._show_json(record.value)
        for name, expected in _expected_event(body).items():
            if event.get(name) != expected:
                problem = f"{name} of the event is {event.get(name)!r} and should be {expected!r}"
                raise StepFailedError(problem, stack.ingress)
        if record.key.decode(errors="replace") != body["To_Account"]:
            raise StepFailedError("the key of the record is not the account that the event is about", stack.ingress)
        return event

    async def _read_badge_record(self, stack: Stack, body: dict[str, Any], event: dict[str, Any]) -> None:
        self._begin(f"badge: what the worker made of it, on the topic {BADGES}")
        record = await _first(stack, BADGES, BADGE_TIMEOUT_S, stack.worker)
        self._tell(f"partition {record.partition}, offset {record.offset}, key {record.key.decode(errors='replace')}")
        self._show_json(record.value)
        badge = _object(record, stack.worker)
        if (badge.get("unread"), badge.get("event_id")) != (body["UnreadMsgNum"], event["id"]):
            raise StepFailedError("the badge is not the count of the callback", stack.worker)

    async def _read_badge(self, stack: Stack, body: dict[str, Any]) -> None:
        account = body["To_Account"]
        self._begin("badge: the same in Redis, for whoever sends the push notification")
        self._tell(f"{command_line('consumers')} badge get {account} --app {DEV_APP}")
        status, out, err = await stack.consumers("badge", "get", account, "--app", DEV_APP, "--json")
        if status != 0:
            raise StepFailedError(err.strip() or f"the command ended with exit status {status}", stack.worker)
        self._show_json(out)
        if orjson.loads(out).get("unread") != body["UnreadMsgNum"]:
            raise StepFailedError(f"the badge is not {body['UnreadMsgNum']}", stack.worker)

    def _begin(self, title: str) -> None:
        self._step += 1
        self._title = title
        if self._step > 1:
            self._output.line()
        self._output.line(Text.assemble((f"{self._step} ", "bold cyan"), (title, "bold")))

    def _tell(self, text: str) -> None:
        self._output.line(f"  {text}")

    def _show_json(self, value: bytes) -> None:
        text = json.dumps(orjson.loads(value), indent=2, ensure_ascii=False)
        for line in text.splitlines():
            self._output.line(f"  {printable(line)}", "dim")

    def _failed(self, problem: str, service: Service) -> None:
        self._output.line()
        step = self._title.partition(":")[0]
        self._output.line(f"Step {self._step} ({step}) failed. {problem}.", "bold red")
        self._output.show_log(service.name, service.last_words)


async def _first(stack: Stack, topic: str, within_s: float, source: Service) -> ConsumerRecord:
    follower = Follower(stack.kafka_client, [topic], from_beginning=True, report=lambda _: None)
    try:
        async with asyncio.timeout(within_s), aclosing(follower.records()) as records:
            return await anext(records)
    except TimeoutError as error:
        raise StepFailedError(f"nothing came to {topic} within {within_s:.0f} s", source) from error


def _object(record: ConsumerRecord, source: Service) -> dict[str, Any]:
    try:
        value = orjson.loads(record.value)
    except orjson.JSONDecodeError as error:
        raise StepFailedError(f"the record on {record.topic} is no JSON", source) from error
    if not isinstance(value, dict):
        raise StepFailedError(f"the record on {record.topic} is no JSON object", source)
    return value


def _expected_event(body: dict[str, Any]) -> dict[str, Any]:
    """What must be in the event, by the registry."""
    entry = find(body["CallbackCommand"])
    assert entry is not None
    names = {field.tencent: field.name for field in fields_of(entry.data)}
    return {
        "specversion": "1.0",
        "source": f"/tencent-im/{DEV_APP}",
        "type": entry.callback.type,
        "subject": body["To_Account"],
        "callbackcommand": body["CallbackCommand"],
        "data": {names[name]: value for name, value in body.items() if name not in ENVELOPE_FIELDS},
    }
