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

    @classmethod
    def of_key(cls, key: str) -> Owner:
        """Whose `key` it is.

        Raises:
            ValueError: nobody's.
        """
        app_id, colon, account = key.partition(":")
        if not (app_id and colon):
            raise ValueError(f"{key!r} is no SdkAppid, colon and account")
        return cls(app_id, account)
