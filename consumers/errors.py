"""Which failures pass by themselves, and which are the fault of an event."""

from __future__ import annotations

import asyncio
import hashlib
import re
import sysconfig
import traceback
from pathlib import Path

import aiohttp
import redis.exceptions
from aiokafka.errors import (
    ConsumerStoppedError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RecordTooLargeError,
)

from common.kafka.diagnosis import explain
from common.text import without_passwords

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError)

MAX_TRACEBACK_BYTES = 8192
"""Of the header of a dead letter."""

_LIBRARY_FOLDERS = ("/site-packages/", "/dist-packages/", sysconfig.get_paths()["stdlib"])
_OWN_FOLDERS = tuple(f"{Path(__file__).parent.with_name(name)}/" for name in ("bridge", "common", "consumers"))

# Redis answers a command with these while it starts, fails over, is full, or is not set up yet.
_PASSING_CODES = frozenset(
    {
        "ASK",
        "BUSY",
        "CLUSTERDOWN",
        "EXECABORT",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "MOVED",
        "NOAUTH",
        "NOPERM",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "TRYAGAIN",
        "UNKILLABLE",
        "WRONGPASS",
    }
)
_CODE_OF_CLASS: tuple[tuple[type[redis.exceptions.RedisError], str], ...] = (
    (redis.exceptions.MasterDownError, "MASTERDOWN"),
    (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis.exceptions.ClusterCrossSlotError, "CROSSSLOT"),
    (redis.exceptions.MovedError, "MOVED"),
    (redis.exceptions.AskError, "ASK"),
    (redis.exceptions.ExecAbortError, "EXECABORT"),
    (redis.exceptions.NoPermissionError, "NOPERM"),
    (redis.exceptions.OutOfMemoryError, "OOM"),
    (redis.exceptions.ReadOnlyError, "READONLY"),
    (redis.exceptions.TryAgainError, "TRYAGAIN"),
)
"""The client takes these codes off the text."""
_PASSING_REDIS = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
# Up to 6.2 a script's error is wrapped: "Error running script (call to f_…): @user_script:1: @user_script: 1: -OOM …".
_REDIS_CODE = re.compile(r"(?:^-?|@user_script:\s*\d+:\s*-?)([A-Z]{2,})\b")
_NO_PERMISSION_IN_SCRIPT = re.compile(
    r"ACL failure in script|The user executing the script can't (?:run this command|access)"
)
_BUSY_WITHOUT_CODE = re.compile(r"Script killed by user|max number of clients")


class RetryLater(Exception):  # noqa: N818 - says what to do, not what went wrong
    """A worker cannot do its work now, through no fault of the events: they are kept and tried again for ever.

    The message is logged once, when the waiting begins; it should be the same at every attempt.
    """


class PoisonError(Exception):
    """A worker knows which message of its batch is at fault, and has handled all before it. The message says why.

    Args:
        message: the very object that `handle` was given.
        reason: what is wrong with it.
    """

    def __init__(self, message: object, reason: str) -> None:
        super().__init__(reason)
        self.message = message


class WorkerExitError(Exception):
    """A worker raised what would end the process or its task; `failure_of` makes it. The message says what."""


class WorkerRefusedError(Exception):
    """A worker can never run as it is set up. The message says what to change; the process ends with it."""


_PASSING = (
    RetryLater,
    ConnectionError,
    TimeoutError,
    ConsumerStoppedError,
    aiohttp.ClientConnectionError,
    *_PASSING_REDIS,
)


def failure_of(error: BaseException) -> Exception:
    """What a worker raised, as a failure on its events.

    Else `sys.exit` in its code would end the process without a word of where, again after each start. And a
    CancelledError that nobody asked for, as of a task of its own, would look like the end of the partition's work.

    Raises:
        BaseException: the error itself, where it is none: Ctrl-C, or this task is to end.
    """
    if isinstance(error, Exception):
        return error
    task = asyncio.current_task()
    is_own = isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling()
    if isinstance(error, KeyboardInterrupt | GeneratorExit | asyncio.CancelledError) and not is_own:
        raise error
    text = " ".join(_text_of(error).split())
    failure = WorkerExitError(f"it raised {type(error).__name__}({text})").with_traceback(error.__traceback__)
    failure.__cause__ = error
    return failure


def is_passing(error: BaseException) -> bool:
    """Whether waiting helps: connections that break, time-outs, servers that start, are full or have no leader.

    Of a group, as `asyncio.TaskGroup` raises it, it helps one error at least; what else is at fault shows itself then.
    """
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_passing, error.exceptions))
    if isinstance(error, redis.exceptions.ResponseError):
        return redis_code(error) in _PASSING_CODES
    if isinstance(error, KafkaError):
        return not isinstance(error, TOO_LARGE)
    return isinstance(error, _PASSING)


def redis_code(error: BaseException) -> str:
    """The code of an answer of Redis, such as `OOM`, also of one that is wrapped since a script met it; else empty.

    Some have no code in some versions: NOPERM where a script may not do something, BUSY where it was killed, or where
    too many clients are connected.
    """
    if not isinstance(error, redis.exceptions.RedisError):
        return ""
    if isinstance(error, redis.exceptions.AuthenticationError) and error.status_code != "NOAUTH":
        return "WRONGPASS"
    if error.status_code not in (None, "ERR"):
        return str(error.status_code)
    of_class = next((code for kind, code in _CODE_OF_CLASS if isinstance(error, kind)), None)
    return of_class or _code_in(str(error))


def _code_in(text: str) -> str:
    if _NO_PERMISSION_IN_SCRIPT.search(text):
        return "NOPERM"
    if _BUSY_WITHOUT_CODE.search(text):
        return "BUSY"
    found = _REDIS_CODE.search(text)
    return found[1] if found and found[1] != "ERR" else ""


def _telling(error: BaseException) -> BaseException:
    """Of a group the error that decides what becomes of it, else the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = next(filter(is_passing, error.exceptions), error.exceptions[0])
    return error


def describe(error: BaseException) -> str:
    """The error in one line of at most 300 characters; of a group one of its errors."""
    error = _telling(error)
    text = " ".join(_text_of(error).split())
    if isinstance(error, RetryLater | WorkerRefusedError):
        return text[:300]
    if isinstance(error, KafkaError):
        return explain(error)[:300]
    if isinstance(error, TimeoutError) and not text:
        return "no answer in time (TimeoutError)"
    return without_passwords(f"{type(error).__name__}: {text}")[:300] if text else type(error).__name__


def describe_with_place(error: BaseException) -> str:
    """The error in one line, and where a worker's own code raised it."""
    place = place_of(error)
    return f"{describe(error)} (at {place})" if place else describe(error)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - of a worker's own class
        return "its text cannot be shown"


def traceback_hash(error: BaseException) -> str:
    """16 hex digits, equal for errors of one type raised at one place: they group the dead letters of one fault."""
    error = _telling(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = "\n".join(f"{frame.filename.rpartition('/')[2]}:{frame.name}:{frame.lineno}" for frame in frames)
    return hashlib.sha256(f"{type(error).__qualname__}\n{place}".encode()).hexdigest()[:16]


def place_of(error: BaseException) -> str:
    """File and line where code that is neither ours nor of a library raised an error, as `notify.py:12`, or empty."""
    error = _telling(error)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown_path(error.filename)}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if not _is_of_library(frame.filename)]
    return next((f"{_shown_path(frame.filename)}:{frame.lineno}" for frame in reversed(own)), "")


def traceback_text(error: BaseException, *, max_bytes: int = MAX_TRACEBACK_BYTES) -> str:
    """The traceback of an error and of its causes; of one that is too long its end, which names the fault."""
    text = without_passwords("".join(traceback.format_exception(error)))
    raw = text.encode(errors="backslashreplace")
    if len(raw) > max_bytes:
        raw = b"...\n" + raw[4 - max_bytes :]
    return raw.decode(errors="ignore")


def _is_of_library(filename: str) -> bool:
    return any(part in filename for part in _LIBRARY_FOLDERS) or filename.startswith(_OWN_FOLDERS)


def _shown_path(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
