"""What every request passes before it is answered, and what becomes of an answer that fails."""

from __future__ import annotations

import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiokafka.errors import KafkaError

from bridge.console.access import Access, is_asked_by_us, is_from_our_page
from bridge.console.desk import DeskError
from bridge.console.jobs import BusyError
from bridge.console.live import TooManyViewersError
from bridge.console.page_files import HEADERS
from bridge.devstack.posting import NoReplyError, UsageError
from common.dead_letter_commands import unusable
from common.logs import fields

OPEN_TO_ALL = frozenset({"/", "/healthz", "/api/access", "/api/session"})
"""Paths that tell nothing; the files of the page are others. The second changes nothing but who asks."""
_SAFE = frozenset({"GET", "HEAD"})

log = logging.getLogger(__name__)


def refusal(status: HTTPStatus, message: str) -> web.Response:
    """An answer that says why not, for people."""
    return web.json_response({"error": message}, status=status)


def is_open_to_all(path: str) -> bool:
    """Whether anybody may ask it, also who has not signed in."""
    return path in OPEN_TO_ALL or path.startswith("/assets/")


def guard(access: Access, kafka_servers: str) -> Middleware:
    """The middleware around everything.

    Args:
        access: who may do what.
        kafka_servers: whom to name where Kafka cannot be used.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        response: web.StreamResponse | None = _refused(request, access)
        if response is None:
            response = await _answered(request, handler, kafka_servers)
        if not response.prepared:
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    return guarded


def _refused(request: web.Request, access: Access) -> web.Response | None:
    """Why a request is not let through; None where it is."""
    if not access.is_host_ours(request):
        return refusal(
            HTTPStatus.MISDIRECTED_REQUEST,
            "this page does not go by that name: open it as http://127.0.0.1:PORT/, or put the name into"
            " BRIDGE_CONSOLE_HOSTS",
        )
    if foreign := _why_foreign(request):
        return refusal(HTTPStatus.FORBIDDEN, foreign)
    if is_open_to_all(request.path):
        return None
    right = access.right_of(request)
    if right == "none":
        return refusal(HTTPStatus.UNAUTHORIZED, _how_to_look(access))
    if request.method not in _SAFE and right != "change":
        return refusal(HTTPStatus.FORBIDDEN, _how_to_change(access))
    return None


def _why_foreign(request: web.Request) -> str:
    """Why a request is not one of our own page; empty where it may be."""
    if request.method not in _SAFE and not is_from_our_page(request):
        return "only the page itself may change something: reload it"
    if request.path.startswith("/api/") and not is_asked_by_us(request):
        return "only the page itself may ask this, no page of somebody else"
    return ""


def _how_to_look(access: Access) -> str:
    if access.has_token:
        return "sign in with the token (BRIDGE_CONSOLE_TOKEN)"
    return "only this machine itself may look, since there is no token: set BRIDGE_CONSOLE_TOKEN"


def _how_to_change(access: Access) -> str:
    if access.has_token:
        return "sign in with the token (BRIDGE_CONSOLE_TOKEN) to change something"
    return "this page can only be looked at: set BRIDGE_CONSOLE_TOKEN, and sign in with it, to change something"


_STATUS: dict[type[Exception], HTTPStatus] = {
    UsageError: HTTPStatus.BAD_REQUEST,
    ValueError: HTTPStatus.BAD_REQUEST,
    TooManyViewersError: HTTPStatus.SERVICE_UNAVAILABLE,
    DeskError: HTTPStatus.BAD_GATEWAY,
    NoReplyError: HTTPStatus.BAD_GATEWAY,
}
"""Of errors whose message is for people."""


async def _answered(request: web.Request, handler: Handler, kafka_servers: str) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return refusal(HTTPStatus(error.status), error.text or error.reason)
    except ConnectionError:
        raise  # The browser is gone.
    except (KafkaError, TimeoutError) as error:
        why = unusable(error, kafka_servers, "BRIDGE_KAFKA_BOOTSTRAP_SERVERS")
        return refusal(HTTPStatus.SERVICE_UNAVAILABLE, why)
    except BusyError as error:
        # With what changes something now: whoever comes anew, or has reloaded the page, can look at it and stop it.
        told = {"error": str(error), "job": None if error.job.dry_run else error.job.id}
        return web.json_response(told, status=HTTPStatus.SERVICE_UNAVAILABLE)
    except tuple(_STATUS) as error:
        status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
        return refusal(status, str(error))
    except Exception as error:
        log.exception("a request of the page failed", extra=fields("console_failed", path=request.path))
        return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"the console failed ({type(error).__name__}): see its log")
