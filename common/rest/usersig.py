"""The platform's signature of a REST call: a UserSig, made here from the app's secret key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib

_SAFE = bytes.maketrans(b"+/=", b"*-_")


def user_sig(app_id: str, secret_key: str, identifier: str, *, now: int, expires_s: int) -> str:
    """The UserSig of an account, valid from `now` (Unix seconds) for `expires_s` seconds."""
    document = {
        "TLS.ver": "2.0",
        "TLS.identifier": identifier,
        "TLS.sdkappid": int(app_id),
        "TLS.expire": expires_s,
        "TLS.time": now,
        "TLS.sig": tls_sig(app_id, secret_key, identifier, now=now, expires_s=expires_s),
    }
    packed = zlib.compress(json.dumps(document).encode())
    return base64.b64encode(packed).translate(_SAFE).decode()


def tls_sig(app_id: str, secret_key: str, identifier: str, *, now: int, expires_s: int) -> str:
    """The signature inside a UserSig."""
    text = f"TLS.identifier:{identifier}\nTLS.sdkappid:{app_id}\nTLS.time:{now}\nTLS.expire:{expires_s}\n"
    return base64.b64encode(hmac.digest(secret_key.encode(), text.encode(), hashlib.sha256)).decode()
