"""The event as downstream teams read it: a CloudEvents 1.0 envelope around typed data.

Some classes of this package have more than 15 fields: they are those that CloudEvents and the platform have.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import msgspec

from bridge.events.answers import Answers

SCHEMA_BASE = "urn:im-bridge:schemas/"
"""What `dataschema` of an event begins with, unless BRIDGE_SCHEMA_BASE is set; the event type and `.json` follow."""


class Reply(StrEnum):
    """What the platform expects as the answer to a callback."""

    IGNORED = "ignored"
    """An after-callback: any well-formed answer will do."""
    ALLOW = "allow"
    """A before-callback: it waits for our verdict."""
    ALLOW_EACH = "allow_each"
    """A before-callback that wants a verdict for each account it asks about."""
    DATA = "data"
    """The platform waits for data of the app, which it hands on: we have none, unless an endpoint has."""
    ERROR_MESSAGE = "error_message"
    """The answer of the old call webhook, whose text is in `ErrorMessage`."""


class EventTimePages(StrEnum):
    """Which pages of the platform's documentation have EventTime in a callback."""

    EVERY = "every page"
    SOME = "some pages"
    """Versions of the page, or its pages of the two sites, differ."""
    NONE = "no page"


class Callback(NamedTuple):
    """What the platform documents of one callback command, and what we make of it."""

    command: str
    """As it stands in the URL, e.g. `C2C.CallbackAfterMsgWithDraw`."""
    type: str
    """Event type, `im.<family>.<thing>.<past participle>`; of a before-callback `….requested`."""
    subject: tuple[str, ...]
    """Where the data names the account or group it is about, best first, e.g. `info.to_account`: the event's subject
    and Kafka key. Empty: it is about the app, whose SdkAppid it is then."""
    identity: tuple[str, ...]
    """What together makes the event unique, e.g. `msg_seq_list.msg_seq`: each must differ between two events, or all of
    them agree only where the events say the same. One that ends in `?` counts where it is present; without any other
    the event counts as a new one.

    `event_time` is the body's EventTime, and counts as absent where it is in seconds, in which much may happen;
    `event_time?` counts in either unit. `platform?` is OptPlatform of the URL. Parts that are passed on as they came
    (`list[Any]`) cannot be in it: written anew on the way, the same callback would get another id."""
    identity_reason: str
    """Why we take that to be unique, or nothing: a sentence for the reference, which says of it that it is ours."""
    identity_otherwise: tuple[str, ...] = ()
    """What makes it unique where a part of `identity` is absent, in the same notation; empty where nothing does."""
    identity_later: str = ""
    """A part of `identity` that was not known from the beginning: it counts where it is present, and events without it
    have the ids that they had before."""
    event_time: EventTimePages = EventTimePages.EVERY
    """Where EventTime is documented: what an identity with `event_time` is worth."""
    exact: bool = True
    """Whether we take the identity to be unique; else every callback counts as a new event."""
    source: str = ""
    """Documentation pages that it was read from."""
    reply: Reply = Reply.IGNORED
    """The answer that the platform expects."""
    answers: Answers = Answers()
    """The codes and fields that the page documents for the answer, and what becomes of none."""
    asks_about: str = ""
    """Where the data names the accounts on which the answer may have a verdict each."""
    aliases: tuple[str, ...] = ()
    """Other names under which it comes."""
    keeps_aliases: bool = False
    """Whether an event that came under one of these has it as `callbackcommand`, because it tells what happened."""
    printed_under: str = ""
    """Another command, under whose URL the documentation prints it; `told_by` tells the two apart."""
    told_by: str = ""
    """With `printed_under`: the platform's name of a field that it has and the other command has not."""
    time: str = ""
    """Where the data has the time of the event, of a body that has no EventTime, e.g. `callback_ts`."""
    is_open: bool = False
    """Whether no page of its body was found: what else is in there is passed on, and is no drift."""
    batch: str = ""
    """Name of the list in the body whose items are one event each, e.g. `Events`."""

    @property
    def is_before(self) -> bool:
        """Whether the platform holds a user's action back until we answer."""
        return self.reply in {Reply.ALLOW, Reply.ALLOW_EACH}

    @property
    def awaits_answer(self) -> bool:
        """Whether the platform does as we answer: a before-callback, or one that wants data. An endpoint may decide."""
        return self.is_before or self.reply is Reply.DATA


def tencent(name: str, meaning: str, *others: str, optional: bool = False, has_two_forms: bool = False) -> msgspec.Meta:
    """Annotation of a field.

    Args:
        name: the platform's name.
        meaning: one sentence.
        others: names that other versions of the documentation have for it.
        optional: whether it may be absent by the documentation, or some version of it does not have it.
        has_two_forms: whether the documentation prints a number here and its digits as text there, or a list of texts
            and a lone text. Accounts, rooms and calls come as numbers and as text without that.
    """
    extra = {"tencent": name, "others": others, "optional": optional, "has_two_forms": has_two_forms}
    return msgspec.Meta(description=meaning, extra=extra, extra_json_schema={"x-tencent-name": name})


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object inside the data of an event. Fields that the platform did not send are None and absent in JSON."""


class Data(Part, frozen=True):
    """Base of the data of every event type; a subclass with a `callback` is the registry's entry of its command."""

    callback: ClassVar[Callback]

    unknown: Annotated[
        dict[str, Any] | None,
        msgspec.Meta(description="What the platform sent and nobody documented yet, under its own names. Unstable."),
    ] = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A CloudEvents 1.0 event in JSON format, as it stands in the topic."""

    specversion: Annotated[str, msgspec.Meta(description="Version of CloudEvents.")]
    id: Annotated[str, msgspec.Meta(description="Equal for every delivery of the same callback.")]
    source: Annotated[str, msgspec.Meta(description="`/tencent-im/` and the SdkAppid.")]
    type: Annotated[str, msgspec.Meta(description="What happened, e.g. `im.c2c.message.recalled`.")]
    subject: Annotated[str, msgspec.Meta(description="Account or group it is about; the Kafka key.")]
    time: Annotated[
        datetime,
        msgspec.Meta(
            description="When it happened: EventTime, or what its section names in its place, else the time of receipt."
        ),
    ]
    datacontenttype: Annotated[str, msgspec.Meta(description="Form of the data.")]
    dataschema: Annotated[str, msgspec.Meta(description="Name of the JSON Schema of the data.")]
    callbackcommand: Annotated[str, msgspec.Meta(description="The platform's name of the callback.")]
    receivedtime: Annotated[datetime, msgspec.Meta(description="When the bridge received it.")]
    platform: Annotated[str | None, msgspec.Meta(description="OptPlatform in lower case, e.g. `ios`.")] = None
    clientip: Annotated[str | None, msgspec.Meta(description="Address of the client that caused it.")] = None
    bodycommand: Annotated[
        str | None, msgspec.Meta(description="The command in the body, where it differs from the URL's.")
    ] = None
    repaired: Annotated[
        Literal[True] | None, msgspec.Meta(description="The body was no strict JSON and was mended.")
    ] = None
    decision: Annotated[
        str | None,
        msgspec.Meta(
            description="Of a callback that an endpoint decides: `allowed`, `refused`, `partly_refused`, `dropped`,"
            " `changed`; `answered` or `ignored` where the platform waits for data; `failed` where the endpoint did not"
            " decide. Absent where nobody is asked."
        ),
    ] = None
    decisioncode: Annotated[
        int | None,
        msgspec.Meta(description="With `decision`: the code that the platform was answered; 0 let it happen."),
    ] = None
    backfilled: Annotated[
        Literal[True] | None,
        msgspec.Meta(
            description="Made of the platform's archive, since no event of the callback was on the topic. What only the"
            " callback tells is absent; `receivedtime` is when it was made."
        ),
    ] = None
    weakidentity: Annotated[
        Literal[True] | None,
        msgspec.Meta(
            description="With `backfilled`: the archive lacks a part of the identity, so `id` is not that of the"
            " callback. It is the same each time that the message is backfilled."
        ),
    ] = None
    data: Annotated[Any, msgspec.Meta(description="Typed by the event type; verbatim for `im.unknown`.")] = None

    @property
    def app_id(self) -> str:
        """SdkAppid of the app that the event belongs to."""
        return self.source.rpartition("/")[2]

    def replace(self, **changes: Any) -> Self:
        """A copy with other attributes, for tests."""
        return msgspec.structs.replace(self, **changes)
