"""The signature of a REST call."""

from __future__ import annotations

import time

from common.rest.usersig import tls_sig, user_sig
from tests.support.im_platform import ADMIN, APP_ID, SECRET_KEY, signature_fault, unpack_user_sig


def test_the_signature_is_that_of_the_platforms_own_package() -> None:
    made = tls_sig(APP_ID, SECRET_KEY, "xiaojun", now=1_600_000_000, expires_s=15_552_000)
    assert made == "1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M="


def test_a_user_sig_is_unpacked_to_the_documented_fields_and_holds_no_sign_that_a_url_changes() -> None:
    sig = user_sig(APP_ID, SECRET_KEY, ADMIN, now=1_600_000_000, expires_s=60)
    assert not set(sig) & set("+/=&?%")
    document = unpack_user_sig(sig)
    assert document.keys() == {"TLS.ver", "TLS.identifier", "TLS.sdkappid", "TLS.expire", "TLS.time", "TLS.sig"}
    assert (document["TLS.sdkappid"], document["TLS.expire"], document["TLS.time"]) == (
        1_400_000_000,
        60,
        1_600_000_000,
    )
    assert signature_fault(sig) == 70001
    assert signature_fault(user_sig(APP_ID, SECRET_KEY, ADMIN, now=int(time.time()), expires_s=60)) == 0
    assert signature_fault(user_sig(APP_ID, "another key", ADMIN, now=int(time.time()), expires_s=60)) == 70009
