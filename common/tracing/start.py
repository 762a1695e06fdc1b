"""Whether spans are made, as the standard variables of OpenTelemetry say, and what makes them.

They are made where one of `WANTED_BY` is set. Else nothing of OpenTelemetry is imported, installed or not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from collections.abc import Mapping
from importlib.metadata import version

from dotenv import dotenv_values

from common.env_file import ENV_FILE
from common.logs import fields
from common.tracing.tracer import Tracer

log = logging.getLogger(__name__)

WANTED_BY = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_MISSING = (
    "traces are wanted (%s is set), and OpenTelemetry is not installed: no spans are made."
    " Install it: pip install 'im-bridge[traces]'"
)


def variables() -> dict[str, str]:
    """The variables `OTEL_…` of the environment, and of `.env` those that the environment does not have."""
    found: dict[str, str | None] = {}
    if ENV_FILE.is_file():
        with contextlib.suppress(OSError, ValueError):  # Our own settings come from there too, and tell of it.
            found = dotenv_values(ENV_FILE, interpolate=False)
    return {name: value for name, value in {**found, **os.environ}.items() if name.startswith("OTEL_") and value}


def exporter_names(environment: Mapping[str, str]) -> list[str]:
    """What spans are exported to, by the names under which packages announce it; nothing: none are made."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    if not any(environment.get(name, "").strip() for name in WANTED_BY):
        return []
    names = [name.strip() for name in environment.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()]
    protocol = (
        environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    ).strip()
    otlp = _PROTOCOLS.get(protocol, f"otlp with the protocol {protocol}")
    return [otlp if name == "otlp" else name for name in names or ["otlp"] if name != "none"]


def _can_be_made(given: Mapping[str, str]) -> bool:
    """Whether spans are wanted and can be made; if not only the latter, the log says why."""
    if not exporter_names(given):
        return False
    if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.sdk") is None:
        wanted_by = next(name for name in WANTED_BY if given.get(name, "").strip())
        log.warning(_MISSING, wanted_by, extra=fields("traces_off", reason="OpenTelemetry is not installed"))
        return False
    return True


def import_early() -> None:
    """Import what makes spans, if they are wanted: a process that is forked has it then."""
    if _can_be_made(variables()):
        importlib.import_module("common.tracing.opentelemetry")


def start_tracer(service: str) -> Tracer | None:
    """What makes the spans of this process, None where none are wanted or can be made: the log says why.

    To be called once a process has forked: a fork has none of the threads that export.

    Args:
        service: name of the program, unless the environment has another.
    """
    given = variables()
    if not _can_be_made(given):
        return None
    os.environ.update(given)  # OpenTelemetry reads nothing else.
    from common.tracing.opentelemetry import SdkTracer, exporters_of  # noqa: PLC0415 - it may not be there

    try:
        return SdkTracer.exporting(exporters_of(exporter_names(given)), service=service, version=version("im-bridge"))
    except Exception as error:  # noqa: BLE001 - exporters raise what they like; a trace is worth no callback
        reason = f"{type(error).__name__}: {error}"
        told = fields("traces_off", reason=reason)
        log.error("no spans are made: %s. See the variables OTEL_… in docs/tracing.md", reason, extra=told)
        return None
