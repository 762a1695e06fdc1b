"""The contract for people: docs/events.md, from the registry."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from bridge.contract.examples import body_of, documented_bodies, events_of, pretty
from bridge.events import UNKNOWN_TYPE, Data, Event, Reply, registry
from bridge.events.introspection import Field, alternatives_of, fields_of, is_part, item_type
from bridge.normalize.batches import MAX_ITEMS
from bridge.normalize.bounds import MAX_DEPTH, MAX_VALUES

INTRODUCTION = """\
# Events

<!-- Written by `bridge schemas` from the classes in bridge/events. Change those, not this page. -->

Every callback becomes a [CloudEvents 1.0](https://cloudevents.io) event on the topic `im.events`; the key of the record
is the event's `subject`. JSON Schemas lie in [`schemas/`](../schemas), for Python there is `bridge.events.parse_event`.

- **Fields that the platform did not send are absent**, never null. A type may gain fields, it never loses one.
- `data.unknown` holds what the platform sent and nobody documented yet, and documented fields whose value has a
  surprising type, under the platform's names and in place. It is absent where all is well, and unstable.
- **Identity** is what the event's `id` is made of. *Exact*: every delivery of the same callback has the same id.
  *Weak*: the documentation names nothing unique, and the time of receipt counts too, as it does where a field of an
  exact identity is absent: two events are never taken for one, but a second delivery has an id of its own. *Exact with
  EventTime*: it takes the millisecond of the event, so it is weak where EventTime is absent or in seconds. Each section
  says why its identity is unique. How a value is written does not matter: `7`, `7.0` and `"7"` give the same id.
- **Before** and **after**: the platform asks before it does something. The bridge allows it, unless an endpoint of
  yours [decides](#decisions). Such an event ends in `.requested` and says nothing about whether it happened.
- Message bodies are passed on as the platform has them.
- What is longer than 256 characters, or has control characters, is no name of an account or a group: it is in `data`
  alone, and the event's `subject` is the app.
- `repaired` is true where the body was no strict JSON: halves of surrogate pairs and bytes that are not UTF-8 became
  U+FFFD; whole numbers beyond 64 bits, `NaN` and infinite numbers became text. Of a name that occurs twice in an object
  the last one counts. A batch that was mended marks all of its events.
- Headers of the record: `content-type`; `traceparent` where a proxy sent one; with `BRIDGE_KEEP_RAW=true` the original
  in `raw-body` (of a batch: the item) and `raw-query` (without what proves authenticity).
- With `BRIDGE_DROP_FIELDS` the named fields are nowhere: not in events, not in raw bodies, not in dead letters. A body
  that nobody can read cannot be searched for them: its dead letter is empty and has the headers `body-bytes` and
  `body-sha256`.
- What differs from this page is counted in the metric `bridge_drift_total`, by kind, command and field.
"""

DEAD_LETTERS = f"""
## Dead letters

What cannot become an event is kept on the topic `im.events.dlq` as it came. Among its headers are `reason`, a code,
and `detail`, a sentence.

| `reason` | what it is |
| --- | --- |
| `empty`, `not_json`, `not_an_object` | a body, or an event of a batch, that is no JSON object, even to a lax reader |
| `too_deep` | a body that is nested more than {MAX_DEPTH} levels deep |
| `too_many_values` | a body that holds more than {MAX_VALUES:,} values, each of which would hold up all others |
| `empty_batch` | a batch without events |
| `too_many_events` | a batch of more than {MAX_ITEMS} events; the documentation says 100 |
| `too_large` | its event would have more bytes than `BRIDGE_MAX_RECORD_BYTES` or its topic's `max.message.bytes` \
allow, or the events of a batch together more than twice as many. A control character takes six bytes in JSON |
| `stale_time` | an authentic callback whose RequestTime is not of now |
"""

DECISIONS = """
## Decisions

With `BRIDGE_DECISION_URLS` an endpoint of yours decides before-callbacks. It is sent the event as it stands on this
page (POST, `application/cloudevents+json`), without `decision`, and answers within `BRIDGE_DECISION_DEADLINE_MS`: 204
to allow it, or 200 with the platform's own reply fields, which are completed and passed on. The event on the topic has
the outcome.

| answer of the endpoint | reply to the platform | `decision` |
| --- | --- | --- |
| 204, or 200 with `{}` | allowed | `allowed` |
| `{"ErrorCode":1}`, or another code of the platform | the same | `refused` |
| `{"ErrorCode":2}` to `….CallbackBeforeSendMsg` | the same: dropped, which its sender cannot see | `dropped` |
| `{"MsgBody":[…]}` or `{"CloudCustomData":"…"}` | allowed, with this content instead | `changed` |
| `{"RefusedMembers_Account":[…]}` or `{"RefusedSubscribers_Account":[…]}` | allowed for all others | `partly_refused` |
| `{"ResultItem":[…]}` to `Sns.CallbackPrev…` | the same; accounts that are not in it are allowed | by the items |
| `{"ErrorCode":1}` to `Sns.CallbackPrev…` | each account refused: a code alone lets all pass | `refused` |
| anything else, nothing in time, no endpoint | `BRIDGE_DECISION_ON_FAILURE`: allowed, or code 1 | `failed` |

- `decisioncode` is the `ErrorCode` that the platform was answered, of `Sns.CallbackPrev…` the first `ResultCode` that
  is not 0. 0 let it happen, so with `failed` it tells what became of it.
- `data` is what the user wanted to do, also where the decision changed it.
- An event may be asked about twice (a connection broke, the platform asked again), with the same `id`.
- With `BRIDGE_DROP_FIELDS` the endpoint does not see the dropped fields either.
- An endpoint that stays silent five times in a row is left alone for five seconds, then tried with one question every
  five seconds. Questions that are not asked have failed, too; so have those whose body nobody can read."""
HINTS = {str: "text", int: "integer", bool: "true or false", Any: "anything"}


def document() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield INTRODUCTION
    yield from _index()
    yield from _envelope()
    yield DEAD_LETTERS.rstrip()
    yield DECISIONS
    for entry in _ordered():
        yield from _section(entry)
    yield from _unknown()


def _ordered() -> list[registry.Entry]:
    return sorted(registry.ENTRIES, key=lambda entry: entry.callback.command)


def _index() -> Iterator[str]:
    yield "## Index\n"
    yield "| command | event type | key | identity |"
    yield "| --- | --- | --- | --- |"
    for entry in _ordered():
        callback = entry.callback
        link = f"[`{callback.type}`](#{_anchor(callback.type)})"
        yield f"| `{callback.command}` | {link} | {_key(entry)} | {_exactness(entry)} |"
    yield f"| any other | [`{UNKNOWN_TYPE}`](#{_anchor(UNKNOWN_TYPE)}) | best guess | weak |"


def _envelope() -> Iterator[str]:
    yield "\n## Attributes of every event\n"
    yield "| attribute | meaning |"
    yield "| --- | --- |"
    descriptions = _descriptions(Event)
    for name in Event.__struct_fields__:
        yield f"| `{name}` | {descriptions[name]} |"


def _section(entry: registry.Entry) -> Iterator[str]:
    callback = entry.callback
    yield f"\n## {callback.type}\n"
    yield f"{entry.data.__doc__}\n"
    yield "| | |"
    yield "| --- | --- |"
    yield f"| command | `{callback.command}`{_aliases(entry)} ({'before' if callback.is_before else 'after'}) |"
    yield f"| key | {_key(entry)} |"
    yield f"| identity | {_identity(entry)} |"
    if callback.reply is not Reply.IGNORED:
        yield f"| answer | {_ANSWERS[callback.reply]} |"
    if callback.batch:
        yield f"| batch | one event for each item of `{callback.batch}` |"
    yield f"| source | {callback.source} |"
    yield f"| class | `{_family(entry.data)}.{entry.data.__name__}` |"
    yield "\n| platform's field | field of `data` | type | meaning |"
    yield "| --- | --- | --- | --- |"
    yield from _fields(entry.fields)
    origin = "A documented body" if callback.command in documented_bodies() else "A body with every documented field"
    yield f"\n{origin} becomes:\n"
    yield "```json"
    yield pretty(events_of(callback.command, body_of(entry))[0])
    yield "```"


def _family(data: type[Data]) -> str:
    """The module that users import a class from, e.g. `bridge.events.group`, whose classes are in modules below it."""
    return ".".join(data.__module__.split(".")[:3])


def _fields(fields: tuple[Field, ...], platform: str = "", ours: str = "") -> Iterator[str]:
    for field in fields:
        names = " or ".join(f"`{platform}{name}`" for name in (field.tencent, *field.others))
        optional = " Optional." if field.optional else ""
        yield f"| {names} | `{ours}{field.name}` | {_type(field.type)} | {field.meaning}{optional} |"
        item = item_type(field.type)
        inner = item or field.type
        if is_part(inner):
            suffix = "[]." if item else "."
            nested = fields_of(inner)
            yield from _fields(nested, f"{platform}{field.tencent}{suffix}", f"{ours}{field.name}{suffix}")


def _type(declared: Any) -> str:
    if item := item_type(declared):
        return f"list of {_type(item)}"
    if is_part(declared):
        return "object"
    return HINTS.get(declared) or " or ".join(HINTS[one] for one in alternatives_of(declared))


def _key(entry: registry.Entry) -> str:
    return " or ".join(f"`{path}`" for path in entry.callback.subject) or "the SdkAppid"


def _exactness(entry: registry.Entry) -> str:
    if not entry.callback.exact:
        return "weak"
    return "exact with EventTime" if "event_time" in entry.callback.identity else "exact"


def _identity(entry: registry.Entry) -> str:
    parts = [
        f"`{path.removesuffix('?')}`" + (" if present" if path.endswith("?") else "")
        for path in entry.callback.identity
    ]
    return ": ".join([_exactness(entry), *filter(None, [", ".join(parts)])]) + f". {entry.callback.identity_reason}"


def _aliases(entry: registry.Entry) -> str:
    return "".join(f", also `{alias}`" for alias in entry.callback.aliases)


_ANSWERS = {
    Reply.ALLOW: "allowed, or as an endpoint [decides](#decisions)",
    Reply.ALLOW_EACH: "allowed, or as an endpoint [decides](#decisions), with a `ResultItem` for each account",
    Reply.DATA: "code 1: nothing is handed on; or as an endpoint [decides](#decisions), with `RspData`",
    Reply.ERROR_MESSAGE: "`ErrorCode` and `ErrorMessage`",
}


def _unknown() -> Iterator[str]:
    yield f"\n## {UNKNOWN_TYPE}\n"
    yield "A callback whose command is not in this list. Its data is the body as the platform sent it; the subject is"
    yield "the first that the body has of a group, a receiver, a sender or another account, else the SdkAppid."
    yield "Unstable: with a later version of the bridge the same command has a type of its own."


def _descriptions(cls: type[Any]) -> dict[str, str]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: hints[name].__metadata__[0].description for name in cls.__struct_fields__}


def _anchor(heading: str) -> str:
    return heading.replace(".", "")
