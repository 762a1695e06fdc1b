"""What a query says, to be compared: two that say the same are not the same object."""

from __future__ import annotations

from bridge.http.head import Head, HeadFields
from bridge.query import Query

Told = tuple[str, str, str, str, str, tuple[str, str, str], bool]


def told(query: Query) -> Told:
    """All that counts of a query, and its line."""
    common = query.common
    return query.line, query.app_id, query.command, query.platform, query.client_ip, common.proof, common.is_plain


def told_by_head(head: Head) -> tuple[Told, HeadFields, int | None]:
    """All that a head says."""
    return told(head.query), head.fields, head.size
