"""The contract for people, from the registry: docs/events.md, and a page for each family in the folder docs/events."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from bridge.contract.family_page import WRITTEN, family_page
from bridge.contract.wording import anchor, key_of
from bridge.events import UNKNOWN_TYPE, Event, registry
from bridge.normalize.batches import MAX_ITEMS
from bridge.normalize.bounds import MAX_DEPTH, MAX_VALUES

FAMILIES = {
    "c2c": ("One-to-one messages", "Messages between two users: sent, recalled, changed, read."),
    "group": ("Groups", "Groups, communities and their topics: messages, members, settings."),
    "official_account": ("Official accounts", "Official accounts, also called channels: messages and subscribers."),
    "bot": ("Bots", "Messages to bots."),
    "chatbot": ("Chatbots", "Signals of apps to chatbots, which wait for an answer."),
    "state": ("States of users", "Users come online and go offline."),
    "profile": ("Profiles", "Users change their profiles."),
    "sns": ("Friends and blacklists", "Users become friends, end friendships, and block others."),
    "follow": ("Followed accounts", "Users follow others."),
    "call": ("Calls", "Audio and video calls."),
    "live": ("Live rooms", "Live rooms: members, metadata, battles, gifts."),
    "room": ("Meeting rooms", "Rooms of meetings."),
    "mic": ("Seats", "Seats of live and meeting rooms."),
    "push": (
        "Push notifications",
        "What became of pushes. A callback brings up to a hundred, each an event of its own.",
    ),
    "content": ("Review of content", "Results of the review of what users write and send."),
    "alert": ("Alerts", "The platform's warnings about the app."),
}
"""Second word of the event types: heading of its page, what it is about. In the order of the index."""

INTRODUCTION = f"""\
# Events

{WRITTEN}

Every callback becomes a [CloudEvents 1.0](https://cloudevents.io) event on the topic `im.events`; the key of the record
is the event's `subject`. JSON Schemas lie in [`schemas/`](../schemas), for Python there is `bridge.events.parse_event`.

- **Fields that the platform did not send are absent**, never null. A type may gain fields, it never loses one.
- **Before** and **after**: the platform asks before it does something, waits 2 seconds, and does not ask again. The
  bridge allows it, unless an endpoint of yours [decides](#decisions). Such an event ends in `.requested` and says
  nothing about whether it happened. Its section says what becomes of it where nobody answers.
- `data.unknown` holds what the platform sent and nobody documented yet, and documented fields whose value has a
  surprising type, under the platform's names and in place. It is absent where all is well, and unstable.
  `bridge drift` [lists it](operations.md#what-differs-from-the-documentation).
"""

IDENTITY = """
## Identity

The event's `id` is made of its identity, so that a repetition can be recognised:

| identity | the `id` |
| --- | --- |
| exact | a callback that comes again with the same values has the same |
| exact with EventTime | the same, by the event's millisecond: weak where EventTime is absent or in seconds |
| weak: no page has EventTime | the same, and no page documents EventTime: exact only where one comes nevertheless |
| weak | is new each time, because nothing is known to be unique: the time of receipt counts too |

An exact identity is weak, too, where a field is absent that it is made of, or what stands there is not understood. What
is weak is never taken for another event, and a second delivery of it has an `id` of its own. How a value is written
does not matter: `7`, `7.0` and `"7"` give the same. Each section says of what an identity is made, what makes it weak,
and our reason. An event that was [backfilled](backfill.md) has the `id` of its callback, unless it says `weakidentity`.

**Exact is our reading.** The platform's pages call few things unique, such as MsgKey, and promise nothing of
repetitions: that two events differ in the fields of an identity is what we take from the meaning of these. Whether a
callback is sent again, with the same values, and in which order they come:
[what is documented](faq.md#does-the-platform-repeat-a-callback).
"""

BODIES = """
## What becomes of a body

- Message bodies are passed on as the platform has them.
- What is longer than 256 characters, or has control characters, is no name of an account or a group: it is in `data`
  alone, and the event's `subject` is the app.
- `repaired` is true where the body was no strict JSON: halves of surrogate pairs and bytes that are not UTF-8 became
  U+FFFD; whole numbers beyond 64 bits, `NaN` and infinite numbers became text. Of a name that occurs twice in an object
  the last one counts. A batch that was mended marks all of its events.
- Headers of the record: `content-type`; `traceparent`, and perhaps `tracestate`, of a callback that is
  [traced](tracing.md); with `BRIDGE_KEEP_RAW=true` the original in `raw-body` (of a batch: the item) and `raw-query`
  (without what proves authenticity).
- With `BRIDGE_DROP_FIELDS` the named fields are nowhere: not in events, not in raw bodies, not in dead letters. A body
  that nobody can read cannot be searched for them: its dead letter is empty and has the headers `body-bytes` and
  `body-sha256`.

## Sources

They are pages of the platform, of several years and both of its sites, which differ here and there: then an event has
the fields of all of them. `269/…` is of the China site, `1047/…` of the international one; `647/…` and `1690/…` are
pages of its products for calls, rooms and live broadcasts. Some have been changed, moved or removed since. Where a
field was found on no page, but in captured traffic or in an SDK, its meaning says so. What differs from this reference
is counted in the metric `bridge_drift_total`, by kind, command and field.
"""

DEAD_LETTERS = f"""
## Dead letters

What cannot become an event is kept on the topic `im.events.dlq` as it came. Among its headers are `reason`, a code,
and `detail`, a sentence. The platform is told that it is kept; a callback that waits for an answer gets one, and the
old webhooks get the reply that stops their repetition.

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

With `BRIDGE_DECISION_URLS` an endpoint of yours decides before-callbacks, and what a chatbot is handed. It is sent the
event as it stands in this reference (POST, `application/cloudevents+json`), without `decision`, and answers within
`BRIDGE_DECISION_DEADLINE_MS`: 204 to allow it, or 200 with the platform's own reply fields, which are completed and
passed on. The event on the topic has the outcome.

| answer of the endpoint | reply to the platform | `decision` |
| --- | --- | --- |
| 204, or 200 with `{}` | allowed | `allowed` |
| `{"ErrorCode":1}`, or a code of your own that is documented | the same | `refused` |
| `{"ErrorCode":2}` to `….CallbackBeforeSendMsg` | the same: dropped, which its sender cannot see | `dropped` |
| `{"MsgBody":[…]}` or `{"CloudCustomData":"…"}` | allowed, with this content instead | `changed` |
| `{"RefusedMembers_Account":[…]}` or `{"RefusedSubscribers_Account":[…]}` | allowed for all others | `partly_refused` |
| `{"ResultItem":[…]}` to `Sns.CallbackPrev…` | the same; accounts that are not in it are allowed | by the items |
| `{"ErrorCode":1}`, or 38000 to 39000, to `Sns.CallbackPrev…` | each account that is not in `ResultItem` is refused; \
such a code means to the platform that the app failed, which by default lets all pass | `refused`, or by the items |
| `{"RspData":"…"}` to `Chatbot.OnC2CSignalMessage` | the same | `answered` |
| 204 or `{"ErrorCode":1}` to `Chatbot.OnC2CSignalMessage` | code 1: nothing is handed on | `ignored` |
| anything else, nothing in time | `BRIDGE_DECISION_ON_FAILURE`: allowed, or code 1. To a chatbot code 1 | `failed` |

- Each section has the codes that are documented for an answer, [decisions.md](decisions.md#the-codes-that-there-are)
  all of them. Another code is no decision, since hardly any page says what the platform does with it; nor is a field
  of the answer to another callback, or one that is misspelt. A field that no page has at all is passed on.
- `decisioncode` is the `ErrorCode` that the platform was answered, of `Sns.CallbackPrev…` the first `ResultCode` that
  is not 0. 0 let it happen, so with `failed` it tells what became of it.
- `data` is what the user wanted to do, also where the decision changed it.
- An event may be asked about twice, with the same `id`, where the connection to the endpoint broke.
- With `BRIDGE_DROP_FIELDS` the endpoint does not see the dropped fields either.
- An endpoint that stays silent five times in a row is left alone for five seconds, then tried with one question every
  five seconds. Questions that are not asked have failed, too; so have those whose body nobody can read."""


@cache
def pages(name: str = "events") -> Mapping[str, str]:
    """All of it, by the paths of the pages: `events.md`, `events/c2c.md` and so on."""
    families = {
        f"{name}/{family}.md": family_page(*FAMILIES[family], entries, f"../{name}.md")
        for family, entries in _families().items()
    }
    return {f"{name}.md": "\n".join(_index_page(name)) + "\n", **families}


def _index_page(name: str) -> Iterator[str]:
    yield INTRODUCTION
    yield from _index(name)
    yield from _envelope()
    yield IDENTITY.rstrip()
    yield BODIES.rstrip()
    yield DEAD_LETTERS.rstrip()
    yield DECISIONS
    yield from _unknown()


def _families() -> dict[str, list[registry.Entry]]:
    """The commands of each family, in the order of the alphabet."""
    entries = sorted(registry.ENTRIES, key=lambda entry: entry.callback.command)
    found = {family: [entry for entry in entries if _family(entry) == family] for family in FAMILIES}
    return {family: entries for family, entries in found.items() if entries}


def _family(entry: registry.Entry) -> str:
    return entry.callback.type.split(".")[1]


def _index(name: str) -> Iterator[str]:
    yield "## Index\n"
    yield f"The second word of an event's type names its page: `im.c2c.message.sent` is on [c2c]({name}/c2c.md).\n"
    for family, entries in _families().items():
        title, _ = FAMILIES[family]
        yield f"### [{title}]({name}/{family}.md)\n"
        yield "| command | key | identity |"
        yield "| --- | --- | --- |"
        for entry in entries:
            callback = entry.callback
            link = f"[`{callback.command}`]({name}/{family}.md#{anchor(callback.type)})"
            yield f"| {link} | {key_of(entry)} | {entry.exactness.label} |"
        yield ""
    yield f"Any other command is [`{UNKNOWN_TYPE}`](#{anchor(UNKNOWN_TYPE)})."


def _envelope() -> Iterator[str]:
    yield "\n## Attributes of every event\n"
    yield "| attribute | meaning |"
    yield "| --- | --- |"
    descriptions = _descriptions(Event)
    for name in Event.__struct_fields__:
        yield f"| `{name}` | {descriptions[name]} |"


def _unknown() -> Iterator[str]:
    yield f"\n## {UNKNOWN_TYPE}\n"
    yield "A callback whose command is not in this list. Its data is the body as the platform sent it; the subject is"
    yield "the first that the body has of a group, a receiver, a sender or another account, else the SdkAppid."
    yield "Unstable: with a later version of the bridge the same command has a type of its own."


def _descriptions(cls: type[Any]) -> dict[str, str]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: hints[name].__metadata__[0].description for name in cls.__struct_fields__}
