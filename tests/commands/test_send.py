"""`bridge send`: fields that are set on the command line."""

from __future__ import annotations

import orjson
import pytest

from bridge.commands.sending import changed
from bridge.devstack.posting import NoReplyError, UsageError, post


def test_a_body_without_changes_stays_as_it_is_byte_for_byte() -> None:
    assert changed(b"{ no json \n", []) == b"{ no json \n"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("Count=7", {"Count": 7, "Name": "Ann"}),
        ("Name=7", {"Count": 3, "Name": "7"}),
        ("New=7", {"Count": 3, "Name": "Ann", "New": 7}),
        ("New=a=b", {"Count": 3, "Name": "Ann", "New": "a=b"}),
        ('New=[{"A":null}]', {"Count": 3, "Name": "Ann", "New": [{"A": None}]}),
    ],
)
def test_a_field_that_is_text_stays_text_and_any_other_is_json_where_it_can_be(
    change: str, expected: dict[str, object]
) -> None:
    assert orjson.loads(changed(b'{"Count":3,"Name":"Ann"}', [change])) == expected


@pytest.mark.parametrize(
    ("body", "change"), [(b"{}", "no equals sign"), (b"{}", "=3"), (b"no json", "a=3"), (b"[]", "a=3")]
)
def test_a_change_that_cannot_be_made_is_refused(body: bytes, change: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        changed(body, [change])


async def test_a_name_that_no_host_can_have_is_told() -> None:
    with pytest.raises(NoReplyError, match=r"http://a\.\.b:1/ names no host that there can be"):
        await post("http://a..b:1/?Sign=secret", b"{}")
