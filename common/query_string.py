"""Removes what proves authenticity from a query string, so that it may be kept and passed on."""

from __future__ import annotations

from urllib.parse import unquote_plus

SECRET_PARAMETERS = frozenset(("sign", "requesttime", "token"))
"""What proves that a callback is authentic, and a token, should somebody have put it into the URL."""


def unsigned(query: str) -> str:
    """A raw query string, such as `SdkAppid=1&Sign=…&RequestTime=…`, without what proves authenticity.

    All else stays as it came, byte for byte and in its order. Names have no case and may be percent-encoded.
    """
    return "&".join(
        pair for pair in query.split("&") if unquote_plus(pair.partition("=")[0]).lower() not in SECRET_PARAMETERS
    )


__all__ = ["SECRET_PARAMETERS", "unsigned"]
