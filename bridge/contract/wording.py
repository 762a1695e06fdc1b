"""How the reference says in words what the registry knows of a command: its key, its identity, its answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bridge.events import Callback, Data, Reply, registry
from bridge.events.answers import WithoutAnswer
from bridge.events.base import EventTimePages
from bridge.events.exactness import Exactness, IdentityField

WAITED_S = 2
"""How long the platform waits for an answer, as its overview of callbacks says."""
_CHINA = "cloud.tencent.com"
_INTERNATIONAL = "www.tencentcloud.com"
_PAGE = re.compile(r"\b(?P<product>269|647|1047|1690)/(?P<page>\d+)(?!\w)")
_ANSWERS = {
    Reply.ALLOW: "allowed, or as an endpoint [decides]({index}#decisions)",
    Reply.ALLOW_EACH: "allowed, or as an endpoint [decides]({index}#decisions), with a `ResultItem` for each account",
    Reply.DATA: "code 1, so that nothing is handed on; or as an endpoint [decides]({index}#decisions), with `RspData`",
    Reply.ERROR_MESSAGE: "`ErrorCode` and `ErrorMessage`",
}
_WITHOUT_ANSWER = {
    WithoutAnswer.ALLOWED: "within {seconds} s it is delivered by default; the console can make that otherwise",
    WithoutAnswer.PROBABLY_ALLOWED: "within {seconds} s it probably happens: of all before-callbacks the platform's"
    " overview says that the message is delivered by default, and names nothing else; the console has a setting",
    WithoutAnswer.BLOCKED: "within {seconds} s it is **blocked**, the opposite of what holds for a message, unless"
    " `Live.CallbackBeforeCallBackNotBlock` is configured",
    WithoutAnswer.UNKNOWN: "within {seconds} s: not documented",
}
_PAGES_WITH_TIME = {
    EventTimePages.EVERY: "",
    EventTimePages.SOME: ". Some of the platform's pages have no `EventTime` here",
    EventTimePages.NONE: "",
}


def what_happened(data: type[Data]) -> str:
    """What an event of this class tells, from its docstring, on one line."""
    return " ".join((data.__doc__ or "").split())


def key_of(entry: registry.Entry) -> str:
    """Where the data has the event's subject, the key of its record."""
    return " or ".join(f"`{path}`" for path in entry.callback.subject) or "the SdkAppid"


def describe_identity(exactness: Exactness) -> str:
    """What the event's `id` is made of."""
    if not exactness.identities:
        return "weak, always"
    made = "of " + "; otherwise of ".join(_made_of(identity) for identity in exactness.identities)
    if exactness.label.startswith("weak"):
        return f"weak, because no page has `EventTime` here; where it comes nevertheless exact, {made}"
    return f"exact, {made}"


def describe_weakness(exactness: Exactness) -> str:
    """What makes an event weak; empty where every one is."""
    if len(exactness.identities) != 1:
        return "; or ".join(exactness.weak_where)
    (identity,) = exactness.identities
    required = [field for field in identity if not field.is_optional]
    weak = f"{_listed([field.in_words for field in required], 'or')} is absent"
    if not any(field.needs_ms for field in required):
        return weak
    return weak + ", or `EventTime` is in seconds" + _PAGES_WITH_TIME[exactness.event_time]


def describe_answer(callback: Callback, index: str) -> str:
    """What the platform is told, and by whom; empty where it does not read it."""
    return _ANSWERS.get(callback.reply, "").format(index=index)


def documented_codes(callback: Callback) -> Iterator[tuple[str, str, str]]:
    """Field of the answer, its code or range of codes, and what the platform does; nothing where it is not asked for.

    All of them are as the pages have them, and no page says what becomes of another code.
    """
    for field, codes in (("ErrorCode", callback.answers.codes), ("ResultCode", callback.answers.item_codes)):
        for code in codes:
            yield field, str(code).replace("-", " to "), code.meaning


def without_an_answer(callback: Callback) -> str:
    """What the platform does where nobody answers; empty where it is not waited for."""
    if not callback.awaits_answer:
        return ""
    return _WITHOUT_ANSWER[callback.answers.without_answer].format(seconds=WAITED_S)


def linked(source: str) -> str:
    """The pages of a source as links."""
    return _PAGE.sub(lambda page: f"[{page[0]}](https://{_site(page)}/document/product/{page[0]})", source)


def _site(page: re.Match[str]) -> str:
    """The site of a page. Both sites have pages of 647: of those that are cited, China's have the longer numbers."""
    if page["product"] == "647":
        return _CHINA if len(page["page"]) > len("99999") else _INTERNATIONAL
    return _INTERNATIONAL if page["product"] == "1047" else _CHINA


def anchor(heading: str) -> str:
    """What a link to a heading of a page names."""
    return heading.replace(".", "")


def _made_of(identity: Sequence[IdentityField]) -> str:
    required = [field.in_words for field in identity if not field.is_optional]
    further = [field.in_words for field in identity if field.is_optional]
    return _listed(required, "and") + (f", where present also of {_listed(further, 'and')}" if further else "")


def _listed(names: list[str], word: str) -> str:
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
