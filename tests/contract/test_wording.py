"""What the reference says in words is no more than the platform's pages say."""

from __future__ import annotations

import re

import pytest

from bridge.contract import reference
from bridge.contract.wording import linked, without_an_answer
from bridge.events import registry
from bridge.ingress import refusals


@pytest.mark.parametrize(
    ("page", "address"),
    [
        ("269/1632", "https://cloud.tencent.com/document/product/269/1632"),
        ("1047/34364", "https://www.tencentcloud.com/document/product/1047/34364"),
        ("1690/92698", "https://cloud.tencent.com/document/product/1690/92698"),
        ("647/72210", "https://www.tencentcloud.com/document/product/647/72210"),
        ("647/131580", "https://cloud.tencent.com/document/product/647/131580"),
    ],
)
def test_a_page_is_linked_at_the_site_that_has_it(page: str, address: str) -> None:
    assert linked(page) == f"[{page}]({address})"


def test_every_page_that_is_cited_is_a_link() -> None:
    for entry in registry.ENTRIES:
        source = entry.callback.source
        assert re.sub(r"\[[\d/]+\]\([^)]+\)(, )?", "", linked(source)) == "", source


def test_why_an_identity_is_unique_is_said_to_be_our_reason() -> None:
    text = "".join(reference.pages().values())
    assert text.count("\n| our reason | ") == len(registry.ENTRIES)
    assert "**Exact is our reading.**" in text


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("C2C.CallbackBeforeSendMsg", "it is delivered by default"),
        ("OfficialAccount.CallbackBeforeSendMsg", "it is delivered by default"),
        ("Group.CallbackBeforeCreateGroup", "it probably happens"),
        ("Sns.CallbackPrevFriendAdd", "it probably happens"),
        ("Live.CallbackBeforeSendGift", "it is **blocked**"),
        ("Chatbot.OnC2CSignalMessage", "not documented"),
        ("C2C.CallbackAfterSendMsg", ""),
    ],
)
def test_what_becomes_of_no_answer_is_said_of_messages_as_documented_and_of_the_rest_as_taken(
    command: str, told: str
) -> None:
    entry = registry.find(command)
    assert entry is not None
    said = without_an_answer(entry.callback)
    assert told in said
    assert bool(said) is bool(told)


@pytest.mark.parametrize("refusal", [refusals.SIGNATURE_MISSING, refusals.BAD_SIGNATURE])
def test_who_looks_for_a_token_is_not_sent_to_the_console_alone(refusal: refusals.Refusal) -> None:
    assert "console" in refusal.advice
    assert "REST" in refusal.advice
