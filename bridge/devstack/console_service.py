"""The page of `bridge console` beside the stack of `bridge dev`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import aiohttp
import orjson
from pydantic import SecretStr

from bridge.devstack.ports import free_port, is_free
from bridge.devstack.service import Service
from bridge.devstack.stack import BADGES, READY_TIMEOUT_S, Stack, command

USUAL_PORT = 9080


class ConsoleService(Service):
    """The page, for the processes of a stack.

    Args:
        stack: what it shows.
        apps: with whose tokens samples are signed.
        token: for signing in.
        port: None: the usual one, or where that is taken any that is free.
        inherited: further settings.
    """

    def __init__(
        self,
        stack: Stack,
        apps: Mapping[str, list[SecretStr]],
        token: str,
        *,
        port: int | None,
        inherited: Mapping[str, str],
    ) -> None:
        port = port or (USUAL_PORT if is_free("127.0.0.1", USUAL_PORT) else free_port())
        tokens = {app: [one.get_secret_value() for one in some] for app, some in apps.items()}
        settings = {
            **inherited,
            **stack.ingress_settings,
            **stack.worker_settings,
            "BRIDGE_APPS": orjson.dumps(tokens).decode(),
            "BRIDGE_CONSOLE_HOST": "127.0.0.1",
            "BRIDGE_CONSOLE_PORT": str(port),
            "BRIDGE_CONSOLE_TOKEN": token,
            "BRIDGE_CONSOLE_BADGES_TOPIC": BADGES,
            "BRIDGE_CONSOLE_SEND_URL": stack.url,
            "BRIDGE_CONSOLE_WORKERS": orjson.dumps({"badges": [stack.worker_admin_url]}).decode(),
        }
        super().__init__("console", command("bridge", "console"), stack.workspace, settings)
        self.token = token
        self.url = f"http://127.0.0.1:{port}/"
        """Where it is looked at."""

    async def ready(self) -> None:
        """Wait until it can be looked at.

        Raises:
            ServiceError: it cannot.
        """

        async def answers() -> bool | None:
            try:
                async with session.get(f"{self.url}healthz") as response:
                    return response.status == HTTPStatus.OK or None
            except (aiohttp.ClientError, TimeoutError):
                return None

        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            await self.until(answers, what="get ready", timeout_s=READY_TIMEOUT_S)
