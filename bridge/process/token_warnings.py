"""Tells of apps in whose name anybody may post."""

from __future__ import annotations

import logging

from bridge.settings import DEV_TOKEN, BridgeSettings
from common.logs import fields

log = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def warn_of_tokens(settings: BridgeSettings) -> None:
    """Say in the log in the name of which apps anybody may post, or anybody who has read our documentation."""
    for app, tokens in settings.apps.items():
        if not tokens:
            log.warning(
                "app %s has no token: anybody who knows the URL can post callbacks in its name",
                app,
                extra=fields("unsafe_setting", app=app),
            )
        elif DEV_TOKEN in (token.get_secret_value() for token in tokens) and settings.host not in LOOPBACK:
            log.warning(
                "app %s accepts the development token %s, which everybody knows. Set your own, for instance in a file "
                """.env: BRIDGE_APPS='{"<SdkAppid>":["<token>"]}'""",
                app,
                DEV_TOKEN,
                extra=fields("unsafe_setting", app=app),
            )
