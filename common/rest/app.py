"""An app as its REST API is called: its credentials, and where it lives. They stand in settings named `…_IM_APPS`."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, field_validator
from pydantic_settings import NoDecode

from common.http_url import check_http_url
from common.unique_names import RepeatedNameError, unique_pairs

SITES = {
    "china": "console.tim.qq.com",
    "singapore": "adminapisgp.im.qcloud.com",
    "seoul": "adminapikr.im.qcloud.com",
    "tokyo": "adminapijpn.im.qcloud.com",
    "frankfurt": "adminapiger.im.qcloud.com",
    "siliconvalley": "adminapiusa.im.qcloud.com",
    "jakarta": "adminapiidn.im.qcloud.com",
    "mumbai": "adminapiind.im.qcloud.com",
}
"""Where apps live → host of the platform's REST API there."""


class ImApp(BaseModel):
    """How to call the platform's REST API for one app."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret_key: SecretStr
    identifier: str = "administrator"
    """An account that the console names an administrator of the app."""
    host: str = "china"
    """Where the app lives: one of SITES, a host, or an address with its scheme where a proxy is between."""

    @field_validator("identifier")
    @classmethod
    def _check_identifier(cls, identifier: str) -> str:
        if not identifier.strip():
            raise ValueError("identifier is empty: name an administrator of the app")
        return identifier

    @field_validator("host")
    @classmethod
    def _check_host(cls, host: str) -> str:
        check_http_url(host if "://" in host else f"https://{SITES.get(host, host)}")
        return host

    @property
    def url(self) -> str:
        """Address of the REST API, without a slash at its end."""
        host = SITES.get(self.host, self.host)
        return host.rstrip("/") if "://" in host else f"https://{host}"


def _read(apps: Any) -> Any:
    """Empty is none: a compose file passes on a variable that is not set as an empty one."""
    if not isinstance(apps, str):
        return apps
    try:
        return json.loads(apps, object_pairs_hook=unique_pairs) if apps.strip() else {}
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg} at character {error.pos + 1}") from None
    except RepeatedNameError as error:
        raise ValueError(f"it {error}") from None


def _check(apps: dict[str, ImApp]) -> dict[str, ImApp]:
    for app_id, app in apps.items():
        if not (app_id.isascii() and app_id.isdigit()):
            raise ValueError(f"{app_id!r} is no SdkAppid: it must be decimal digits, in quotes")
        if not app.secret_key.get_secret_value():
            raise ValueError(f"app {app_id} has an empty secret_key")
    return apps


ImApps = Annotated[dict[str, ImApp], NoDecode, BeforeValidator(_read), AfterValidator(_check)]
"""A setting: SdkAppid → how to call the REST API for that app."""

IM_APPS_FORM = (
    "each app's SdkAppid with its secret key, an administrator of it, and the host or site of the REST API, e.g."
    ' `{"1400000000":{"secret_key":"…","identifier":"administrator","host":"singapore"}}`. Sites: '
    + ", ".join(SITES)
    + "."
)
"""Of such a setting's description: what is written there."""
