"""The worker `forward`, which posts callbacks to a handler."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from common.http_url import check_http_url
from common.settings import SettingsGroup


class ForwardSettings(SettingsGroup):
    """Where callbacks are posted, and with which signature."""

    heading: ClassVar[str] = "The worker forward"
    read_more: ClassVar[str] = "forward.md"

    forward_url: str | None = Field(None, description="Where `forward` posts callbacks: your HTTP handler.")
    forward_secret: SecretStr | None = Field(
        None, description="Key of the signature that `forward` adds to each post; none: no signature."
    )
    forward_timeout_s: float = Field(10.0, gt=0, le=100, description="How long the handler may take to answer a post.")

    @field_validator("forward_url", "forward_secret", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("forward_url")
    @classmethod
    def _check_forward_url(cls, url: str | None) -> str | None:
        return url if url is None else check_http_url(url)
