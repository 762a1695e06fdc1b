"""What an endpoint of yours answers, and what becomes of it: the reply to the platform, and what the event says.

Its answer has the platform's own reply fields, and holds where the platform's page documents it for the callback. What
no page documents is no decision: nobody knows what the platform would do. Of a callback that has no entry here no page
is known, so its codes and fields pass as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import orjson

from bridge.events import answers, registry
from bridge.events.answers import ReplyCode
from bridge.ingress import replies
from common.nearest_name import nearest_name

MAX_SHOWN_CHARS = 200
MAX_CODE = 2**31 - 1
EACH_REFUSED = range(38000, 39001)
"""Codes by which `Sns.CallbackPrev…` refuses an account."""
REFUSED = answers.REFUSED.first
UNDECIDED = "it could not be decided"
MISSPELT = 0.75
"""How alike a field that no page has and one of the platform's must be for the first to be the second misspelt."""

Code = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 0, "maximum": MAX_CODE})]
Accounts = Annotated[list[str | int], msgspec.Meta(description="A number is told as text.")]


class MessageElement(msgspec.Struct):
    """An element of a message. Further fields are passed on."""

    MsgType: str
    MsgContent: dict[str, Any]


class ResultItem(msgspec.Struct):
    """The verdict on one account that a friend request asks about."""

    To_Account: Annotated[str | int, msgspec.Meta(description="A number is told as text.")]
    ResultCode: Annotated[
        Code | None, msgspec.Meta(description="0: allowed; 38000 to 39000: refused. Absent: as `ErrorCode` says.")
    ] = None
    ResultInfo: str | None = None


class Answer(msgspec.Struct):
    """A decision, in the platform's own reply fields. All of them may be absent: then it is allowed."""

    ActionStatus: Annotated[
        Literal["OK", "FAIL"] | None,
        msgspec.Meta(description="The platform is told `OK`. `FAIL` without a code that refuses is no decision."),
    ] = None
    ErrorCode: Annotated[
        Code | None,
        msgspec.Meta(
            description="0: allowed; 1, or a code of your own in the documented range: refused; 2: a message is"
            " dropped. Of a signal to a chatbot 0: `RspData` is handed to it; 1: it is ignored."
        ),
    ] = None
    ErrorInfo: Annotated[str | None, msgspec.Meta(description="For the user's client, with a code of your own.")] = None
    MsgBody: Annotated[
        list[MessageElement] | None, msgspec.Meta(description="The message that is sent instead of the user's.")
    ] = None
    CloudCustomData: Annotated[str | None, msgspec.Meta(description="Custom data that is sent instead.")] = None
    RefusedMembers_Account: Annotated[
        Accounts | None, msgspec.Meta(description="Of an invitation: who is not let in.")
    ] = None
    RefusedSubscribers_Account: Annotated[
        Accounts | None, msgspec.Meta(description="Of a subscription: who is not let in.")
    ] = None
    ResultItem: Annotated[list[ResultItem] | None, msgspec.Meta(description="Of a friend request: who may.")] = None
    RspData: Annotated[str | None, msgspec.Meta(description="Of a signal to a chatbot: what is handed to it.")] = None


_answer = msgspec.json.Decoder(Answer)
_FIELDS = frozenset(Answer.__struct_fields__)
_BARE = {name.lower().replace("_", ""): name for name in _FIELDS}
_GENERAL = frozenset(replies.OK_FIELDS)
_REFUSED_LISTS = ("RefusedMembers_Account", "RefusedSubscribers_Account")


class Decision(NamedTuple):
    """What the platform is told."""

    name: str
    """The event's attribute `decision`."""
    code: int
    """The event's attribute `decisioncode`: ErrorCode, or the first ResultCode that is not 0."""
    reply: dict[str, Any]
    """All fields of the reply."""
    remark: str = ""
    """For the log: what is not as it should be although it is a decision."""


class NoDecisionError(Exception):
    """The endpoint did not decide. `outcome` is a short code, the message says what happened."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


def read_answer(answer: bytes | None, command: str, body: bytes) -> Decision:
    """The decision in an endpoint's answer to the callback with this command and body. None: it has nothing to say.

    Raises:
        NoDecisionError: it is no JSON object of the platform's reply fields, or one that no page documents.
    """
    if answer is None:
        return _no_data("ignored") if registry.wants_data(command) else _decision({}, command, body)
    try:
        typed = _answer.decode(answer)
        fields = orjson.loads(answer)
    except (msgspec.DecodeError, orjson.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        why = str(error)[:MAX_SHOWN_CHARS]  # It may quote the answer.
        raise NoDecisionError("invalid", f"its answer is no reply of the platform: {why}") from error
    _check_names(fields, command)
    given = {name: value for name, value in fields.items() if value is not None}
    for name in _REFUSED_LISTS:
        if name in given:
            given[name] = [str(account) for account in given[name]]
    _check(typed, given, command)
    decision = _decision(given, command, body)
    try:
        orjson.dumps(decision.reply)  # It reads what it does not write, such as what is nested very deeply.
    except orjson.JSONEncodeError as error:
        raise NoDecisionError("invalid", f"its answer cannot be passed on: {error}") from error
    return decision


def undecided(command: str, body: bytes, *, refuses: bool) -> Decision:
    """What the platform is told where nobody decided. `refuses`: whether a before-callback is refused then."""
    if registry.wants_data(command):
        return _no_data("failed", UNDECIDED)
    fields = {"ErrorCode": REFUSED, "ErrorInfo": UNDECIDED} if refuses else {}
    return _decision(fields, command, body)._replace(name="failed")


def _no_data(name: str, info: str = "") -> Decision:
    return Decision(name, REFUSED, replies.OK_FIELDS | {"ErrorCode": REFUSED, "ErrorInfo": info, "RspData": ""})


# -- Is it documented? -------------------------------------------------------------------------------------------------


def _check_names(fields: dict[str, Any], command: str) -> None:
    """See that an answer speaks of what the platform knows: one that is misspelt would allow what it wants to refuse.

    Raises:
        NoDecisionError: it does not.
    """
    known = fields.keys() & _FIELDS
    entry = registry.find(command)
    documented = (*_GENERAL, *entry.callback.answers.fields) if entry else _FIELDS
    for name in fields.keys() - known:
        meant = _BARE.get(name.lower().replace("_", "")) or nearest_name(name, documented, cutoff=MISSPELT)
        if meant and meant not in known:
            raise NoDecisionError("invalid", f"a field of its answer is misspelt: it is {meant}")
    if fields and not known and entry:
        raise NoDecisionError("invalid", "its answer has no field of the platform's reply, such as ErrorCode")


def _check(answer: Answer, given: dict[str, Any], command: str) -> None:
    """See that the platform's page documents an answer to this callback.

    Raises:
        NoDecisionError: it does not, or there is no making sense of it.
    """
    code = answer.ErrorCode or 0
    if answer.ActionStatus == "FAIL" and not code:
        raise NoDecisionError("invalid", "its answer has ActionStatus FAIL and refuses nothing: ErrorCode 1 refuses")
    entry = registry.find(command)
    documented = entry.callback.answers if entry else None
    item_codes = documented.item_codes if documented else ()
    # One code for all accounts is taken too: each is refused by it.
    codes = (*documented.codes, *((answers.REFUSED,) if item_codes else ())) if documented else ()
    _check_code("ErrorCode", code, codes)
    for item in answer.ResultItem or ():
        _check_code("ResultCode", item.ResultCode or 0, item_codes)
    if documented and not code:
        strange = given.keys() & _FIELDS - _GENERAL - set(documented.fields)
        if names := sorted(name for name in strange if given[name] not in ([], "")):
            known = ", ".join((*replies.OK_FIELDS, *documented.fields))
            raise NoDecisionError("invalid", f"{names[0]} is no field of the reply to it: there are {known}")
    if answer.MsgBody == [] and not code and registry.can_drop(command):
        raise NoDecisionError("invalid", "its answer has an empty MsgBody: ErrorCode 2 drops a message")


def _check_code(name: str, code: int, documented: Sequence[ReplyCode]) -> None:
    if documented:
        is_documented = any(one.first <= code <= one.last for one in documented)
        known = ", ".join(map(str, sorted(documented)))
    else:
        is_documented = 0 <= code <= MAX_CODE
        known = f"not known here, and it must be within 0-{MAX_CODE}"
    if not is_documented:
        raise NoDecisionError("undocumented_code", f"its {name} is {code}, and the documented ones are {known}")


# -- What it decides ---------------------------------------------------------------------------------------------------


def _decision(given: dict[str, Any], command: str, body: bytes) -> Decision:
    """The decision in fields that are documented."""
    entry = registry.find(command)
    reply: dict[str, Any] = replies.OK_FIELDS | given | {"ActionStatus": "OK"}
    code = reply["ErrorCode"]
    if entry is not None:
        for name in _FIELDS - _GENERAL - set(entry.callback.answers.fields):
            reply.pop(name, None)
    if registry.wants_data(command):
        if "RspData" not in reply and not code:
            raise NoDecisionError("invalid", "its answer has no RspData, which a chatbot waits for")
        return Decision("ignored" if code else "answered", code, {"RspData": "", **reply})
    if registry.wants_each(command):
        return _decision_on_each(reply, replies.asked_about(command, body), is_known=entry is not None)
    remark = _leave_out_others(reply, command, body) if entry is not None else ""
    if code == answers.DROPPED.first and registry.can_drop(command):
        name = "dropped"
    elif code:
        name = "refused"
    elif "MsgBody" in reply or "CloudCustomData" in reply:
        name = "changed"
    elif any(reply.get(name) for name in _REFUSED_LISTS):
        name = "partly_refused"
    else:
        name = "allowed"
    return Decision(name, code, reply, remark)


def _leave_out_others(reply: dict[str, Any], command: str, body: bytes) -> str:
    """Take accounts that the callback does not ask about out of the lists of a reply; the remark on them."""
    remark = ""
    for name in _REFUSED_LISTS:
        if reply.get(name) and (asked := set(replies.asked_about(command, body))):
            kept = [account for account in reply[name] if account in asked]
            remark = _remark(name, len(reply[name]) - len(kept)) or remark
            reply[name] = kept
    return remark


def _remark(name: str, others: int) -> str:
    return f"its {name} names {others} accounts that nobody asks about, which are left out" if others else ""


def _decision_on_each(reply: dict[str, Any], accounts: list[str], *, is_known: bool) -> Decision:
    """A decision with a verdict on each of the accounts that are asked about.

    Args:
        reply: as the endpoint gave it, completed. Accounts that its `ResultItem` does not name get its `ErrorCode`.
        accounts: that the callback asks about.
        is_known: whether these are all of them, for certain.

    Raises:
        NoDecisionError: it has two verdicts on one account.
    """
    # The code for all is 0 in the end, else the platform lets all of them pass.
    code = reply["ErrorCode"]
    for_all = code if code in EACH_REFUSED or not code else EACH_REFUSED.start
    default = {"ResultCode": for_all, "ResultInfo": reply["ErrorInfo"]}
    asked = set(accounts)
    given = _verdicts(reply.get("ResultItem", ()), default)
    items = [given.get(account) or {"To_Account": account, **default} for account in accounts]
    others = [item for account, item in given.items() if account not in asked]
    remark = ""
    if is_known and accounts:
        remark = _remark("ResultItem", len(others))
    else:
        items += others
    refused = [item["ResultCode"] for item in items if item["ResultCode"]]
    name = "allowed" if not refused else "refused" if len(refused) == len(items) else "partly_refused"
    return Decision(name, refused[0] if refused else 0, reply | {"ErrorCode": 0, "ResultItem": items}, remark)


def _verdicts(given: Iterable[dict[str, Any]], default: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The items of an answer, completed, by account. Raises as `_decision_on_each`."""
    found: dict[str, dict[str, Any]] = {}
    for one in given:
        account = str(one["To_Account"])
        verdict = {name: value if (value := one.get(name)) is not None else default[name] for name in default}
        item = {"To_Account": account, **verdict}
        if found.setdefault(account, item)["ResultCode"] != item["ResultCode"]:
            raise NoDecisionError("invalid", "its ResultItem has two verdicts on one account")
    return found
