"""Whose a badge is."""

from __future__ import annotations

import msgspec


class Owner(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Whose badge."""

    app_id: str
    account: str

    @property
    def key(self) -> str:
        """`{app_id}:{account}`: the Kafka key; in Redis behind `im:badge:`."""
        return f"{self.app_id}:{self.account}"
