"""The one call of the platform's REST API that reconciliation needs: how many messages has a user not read?"""

from __future__ import annotations

import msgspec

from common.rest.api import CallError, RestAnswer, RestApi
from consumers.badges.badge_event import MAX_COUNT

_PATH = "v4/openim/get_c2c_unread_msg_num"


class _UnreadAnswer(RestAnswer):
    unread: int | None = msgspec.field(name="AllC2CUnreadMsgNum", default=None)


async def unread_count(api: RestApi, account: str) -> int:
    """Unread one-to-one messages of an account, now.

    Raises:
        CallError: it could not be told.
    """
    answer = await api.call(_PATH, {"To_Account": account}, _UnreadAnswer)
    if answer.unread is None:
        raise CallError("failing", "the answer has no number")
    if not 0 <= answer.unread <= MAX_COUNT:
        raise CallError("failing", f"the answer has a number that no count can be: {answer.unread}")
    return answer.unread
