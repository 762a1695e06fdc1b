"""What is taken for the context of a trace, and what is passed on of it: https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import pytest

from common.tracing.context import TraceContext, context_of, new_context, read_context

IDS = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
CAME = f"00-{IDS}-01"


@pytest.mark.parametrize(
    ("traceparent", "passed_on"),
    [
        (CAME, CAME),
        (f"00-{IDS}-00", f"00-{IDS}-00"),
        (f"00-{IDS}-03", f"00-{IDS}-03"),
        # Of a later version the beginning is understood, and passed on as what we are.
        (f"cc-{IDS}-03", f"00-{IDS}-01"),
        (f"01-{IDS}-08-what-else", f"00-{IDS}-00"),
        (f"00-{IDS}-01-more", None),
        (f"01-{IDS}-01more", None),
        (f"ff-{IDS}-01", None),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", None),
        (f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", None),
        (CAME.upper(), None),
        (f" {CAME}", None),
        (f"{CAME}\n", None),
        (CAME[:-1], None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_context_is_passed_on_if_it_is_one(traceparent: str, passed_on: str | None) -> None:
    context = read_context(traceparent)
    assert (None if context is None else context.traceparent) == passed_on


@pytest.mark.parametrize(
    ("tracestate", "passed_on"),
    [
        ("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
        ("a=b , tenant@system=c d,", "a=b , tenant@system=c d,"),
        ("a=" + "b" * 255, "a=" + "b" * 255),
        (",".join(f"k{n}=v" for n in range(32)), ",".join(f"k{n}=v" for n in range(32))),
        (",".join(f"k{n}=v" for n in range(33)), ""),
        (",".join(f"k{n}=" + "v" * 100 for n in range(6)), ""),
        ("a", ""),
        ("A=b", ""),
        ("a=b=c", ""),
        ("a=b\r\nX-Forged: 1", ""),
        ("a=\udcff", ""),
    ],
)
def test_what_tracing_systems_tell_each_other_is_passed_on_if_it_is_in_form(tracestate: str, passed_on: str) -> None:
    assert read_context(CAME, tracestate) == TraceContext(CAME, passed_on)


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_last_bit_says_whether_it_is_sampled(flags: str, sampled: bool) -> None:
    context = read_context(f"00-{IDS}-{flags}")
    assert context is not None
    assert context.is_sampled is sampled


def test_a_new_context_is_one_and_another_each_time() -> None:
    made = {new_context() for _ in range(100)}
    assert len(made) == 100
    assert all(read_context(context.traceparent) == context and context.is_sampled for context in made)


def test_a_context_comes_through_the_headers_of_a_record() -> None:
    context = TraceContext(CAME, "a=b")
    assert context_of([("content-type", b"x"), *context.record_headers]) == context
    assert context_of(TraceContext(CAME).record_headers) == TraceContext(CAME)
    assert context_of([("content-type", b"x")]) is None
    assert context_of([("traceparent", None), ("tracestate", b"a=b")]) is None
    assert context_of([("traceparent", b"\xff")]) is None
    assert context_of([("traceparent", CAME.encode()), ("tracestate", b"\xff")]) == TraceContext(CAME)
