"""What the platform's pages say of the replies to callbacks that it asks with: codes, fields, and no reply at all.

A callback's page is its `source`. The fields of a reply are named as the platform names them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class WithoutAnswer(StrEnum):
    """What becomes of what the user wants to do where the platform gets no answer within its 2 seconds."""

    ALLOWED = "allowed"
    """The message is delivered, unless the console is set to block it."""
    PROBABLY_ALLOWED = "probably_allowed"
    """The same, as we take it: the overview's rule is for all before-callbacks, and speaks of messages alone."""
    BLOCKED = "blocked"
    """It does not happen, unless the app is configured otherwise."""
    UNKNOWN = "unknown"
    """No page says."""


class ReplyCode(NamedTuple):
    """A code that a page documents, or a range of them."""

    first: int
    last: int
    """The same as `first`, or the end of the range, which belongs to it."""
    meaning: str
    """What the platform does, in a few words."""

    def __str__(self) -> str:
        """As it is shown to people, e.g. `120001-130000`."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


class Answers(NamedTuple):
    """What a page documents of the reply to one callback, beside the three fields that every reply has."""

    codes: tuple[ReplyCode, ...] = ()
    """Of `ErrorCode`; empty where the callback asks nothing."""
    item_codes: tuple[ReplyCode, ...] = ()
    """Of `ResultItem[].ResultCode`, where there is a verdict on each account."""
    fields: tuple[str, ...] = ()
    """Further fields that the reply may have, or must, as `ResultItem` and `RspData`."""
    without_answer: WithoutAnswer = WithoutAnswer.PROBABLY_ALLOWED
    """What happens where no answer comes; of no meaning where the callback asks nothing."""

    @property
    def can_drop(self) -> bool:
        """Whether a code drops a message so that its sender does not see it."""
        return DROPPED in self.codes


ALLOWED = ReplyCode(0, 0, "allowed")
REFUSED = ReplyCode(1, 1, "refused")
DROPPED = ReplyCode(2, 2, "dropped, and the sender is told that it was sent")
MESSAGE = ("MsgBody", "CloudCustomData")


def _refused_as(code: int) -> ReplyCode:
    return REFUSED._replace(meaning=f"refused; who asked gets error code {code}")


def _own(first: int, last: int) -> ReplyCode:
    return ReplyCode(first, last, "refused with a code of the app's own, which the client gets together with ErrorInfo")


def _message(refused_as: int, own: ReplyCode) -> Answers:
    codes = (ALLOWED, _refused_as(refused_as), DROPPED, own)
    return Answers(codes, fields=MESSAGE, without_answer=WithoutAnswer.ALLOWED)


_GROUP = _own(10100, 10200)
_USER = _own(120001, 130000)

C2C_MESSAGE = _message(20006, _USER)
GROUP_MESSAGE = _message(10016, _GROUP)
GROUP_REQUEST = Answers((ALLOWED, _refused_as(10016), _GROUP))
GROUP_INVITATION = Answers((ALLOWED, REFUSED, _GROUP), fields=("RefusedMembers_Account",))
OFFICIAL_ACCOUNT_MESSAGE = _message(10016, _USER)
OFFICIAL_ACCOUNT_CREATION = Answers((ALLOWED, _refused_as(20006), _USER))
SUBSCRIPTION = Answers((ALLOWED, REFUSED), fields=("RefusedSubscribers_Account",))
GIFT = Answers((ALLOWED, REFUSED, _own(102100, 102200)), without_answer=WithoutAnswer.BLOCKED)
"""Its page says that any code but 0 blocks, too. Live.CallbackBeforeCallBackNotBlock, where it is configured, lets a
gift pass that nobody answers for."""
FRIENDS = Answers(
    codes=(
        ReplyCode(0, 0, "decided: the verdicts on the accounts hold"),
        ReplyCode(38000, 39000, "the app failed to decide: by default all of them are allowed"),
    ),
    item_codes=(ALLOWED, ReplyCode(38000, 39000, "refused")),
    fields=("ResultItem",),
)
SIGNAL = Answers(
    codes=(
        ReplyCode(0, 0, "RspData is handed to the chatbot"),
        ReplyCode(1, 1, "failed: RspData is ignored"),
    ),
    fields=("RspData",),
    without_answer=WithoutAnswer.UNKNOWN,
)
