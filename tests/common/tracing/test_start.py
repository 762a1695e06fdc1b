"""When spans are made at all, by what, and what is said where they are wanted and cannot be."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.tracing.start import exporter_names, start_tracer

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SOMEWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """None from around; and what is set in a test ends with it."""
    before = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    for name in before:
        del os.environ[name]
    monkeypatch.chdir(tmp_path)
    yield
    monkeypatch.undo()
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, []),
        ({"OTEL_SERVICE_NAME": "x"}, []),
        ({ENDPOINT: SOMEWHERE}, ["otlp_proto_http"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": SOMEWHERE}, ["otlp_proto_http"]),
        ({ENDPOINT: " "}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ["otlp_proto_http"]),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp_proto_http", "console"]),
        ({"OTEL_TRACES_EXPORTER": "none", ENDPOINT: SOMEWHERE}, []),
        ({ENDPOINT: SOMEWHERE, "OTEL_SDK_DISABLED": "True"}, []),
        ({ENDPOINT: SOMEWHERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["otlp_proto_grpc"]),
        (
            {
                ENDPOINT: SOMEWHERE,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            ["otlp_proto_http"],
        ),
    ],
)
def test_the_standard_variables_say_what_spans_are_exported_to(variables: dict[str, str], names: list[str]) -> None:
    assert exporter_names(variables) == names


def test_nothing_of_opentelemetry_is_imported_where_nobody_wants_spans() -> None:
    program = """
import sys
from bridge.process import supervisor
from common.tracing.start import import_early, start_tracer
import_early()
assert start_tracer("im-bridge") is None
print([name for name in sys.modules if name.partition(".")[0] == "opentelemetry"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_what_is_missing_is_said_and_nothing_else_happens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, SOMEWHERE)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert start_tracer("im-bridge") is None
    [line] = caplog.messages
    assert ENDPOINT in line
    assert "pip install 'im-bridge[traces]'" in line


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "no installed package exports to zipkin; there are: "),
        ({ENDPOINT: SOMEWHERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "exports to otlp_proto_grpc"),
        ({ENDPOINT: SOMEWHERE, "OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "max_queue_size must be a positive integer"),
    ],
)
def test_a_wrong_variable_is_told_and_costs_the_spans_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert start_tracer("im-bridge") is None
    assert said in caplog.text
    assert "docs/tracing.md" in caplog.text


async def test_variables_of_the_env_file_count_where_the_environment_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("BRIDGE_WORKERS=2\nOTEL_TRACES_EXPORTER=console\nOTEL_SERVICE_NAME=of-the-file\n")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "of-the-environment")
    tracer = start_tracer("im-bridge")
    assert tracer is not None
    assert os.environ["OTEL_TRACES_EXPORTER"] == "console"
    assert os.environ["OTEL_SERVICE_NAME"] == "of-the-environment"
    assert "BRIDGE_WORKERS" not in os.environ
    await tracer.stop(5)
