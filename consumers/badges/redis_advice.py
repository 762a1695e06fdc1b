"""Why Redis cannot be used, in words for who is to mend it."""

from __future__ import annotations

import ssl

from common.redis_url import RedisAddress, tls_file_problem
from common.unreachable import why_unreachable
from consumers.errors import describe, redis_code

_OF_CODE = {
    "ASK": "slots of the cluster are being moved",
    "CLUSTERDOWN": "the cluster has no primary for some of its slots",
    "MOVED": "slots of the cluster are being moved",
    "TRYAGAIN": "slots of the cluster are being moved",
    "LOADING": "it is loading its data",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "MISCONF": "it cannot save to its disk and so takes no writes: see its log",
    "NOAUTH": "it wants a password: set it in CONSUMERS_REDIS_URL",
    "NOPERM": "its user may not run the commands or use the keys of the badges: see its ACL",
    "NOREPLICAS": "too few replicas are there for its min-replicas-to-write",
    "OOM": "its memory is full: raise its maxmemory",
    "READONLY": "it is a replica: the address in CONSUMERS_REDIS_URL must lead to the primary",
    "WRONGPASS": "it refuses user name and password: set them in CONSUMERS_REDIS_URL",
}
_EXPIRED = 10
_OF_OTHER_HOSTS = frozenset({62, 64})
"""What OpenSSL calls X509_V_ERR_CERT_HAS_EXPIRED, …_HOSTNAME_MISMATCH and …_IP_ADDRESS_MISMATCH."""
_WANTS_CERTIFICATE = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE"})


def why_away(error: Exception, address: RedisAddress) -> str:
    """What is wrong with Redis or the way to it, by the error of a command, and what to do about it."""
    code = redis_code(error)
    if known := _OF_CODE.get(code):
        return f"{known} ({code})"
    cause = error.__cause__ or error.__context__
    if not isinstance(cause, OSError):
        return f"{describe(error).rstrip('.')}. {_question(error, address)}"
    if isinstance(cause, ssl.SSLError | FileNotFoundError | PermissionError) and (problem := tls_file_problem(address)):
        return problem
    return f"{why_unreachable(cause)}. {_of_certificates(cause) or _question(cause, address)}"


def _of_certificates(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return "Renew it, or set the clock of this machine"
        if error.verify_code in _OF_OTHER_HOSTS:
            return "CONSUMERS_REDIS_URL must name the host as the certificate does"
        return "Is CONSUMERS_REDIS_URL to have ?ssl_ca_certs=/path/of/ca.pem, the certificate of who signed it?"
    if isinstance(error, ssl.SSLError) and error.reason in _WANTS_CERTIFICATE:
        return "Is CONSUMERS_REDIS_URL to have ?ssl_certfile=…&ssl_keyfile=…, a certificate of ours?"
    return ""


def _question(error: Exception, address: RedisAddress) -> str:
    if isinstance(error, TimeoutError) and address.is_tls:
        return "Is it running, and does it take TLS at the port in CONSUMERS_REDIS_URL?"
    is_cut = isinstance(error, ConnectionResetError) or "closed by server" in str(error)
    if is_cut and not address.is_tls:
        return "Is it running, and does it want TLS? Then CONSUMERS_REDIS_URL begins with rediss://"
    return "Is it running, and is CONSUMERS_REDIS_URL its address?"
