"""Request headers that the ingress looks at."""

from __future__ import annotations

from multidict import MultiMapping, istr

TRACEPARENT_HEADER = istr("traceparent")
FORWARDED_FOR_HEADER = istr("X-Forwarded-For")


def forwarded_for(headers: MultiMapping[str]) -> str:
    """The values of all headers `X-Forwarded-For`, in their order, joined with commas."""
    return ",".join(headers.getall(FORWARDED_FOR_HEADER, ()))
