"""What an ingress process says of the records that it took: a record of the audit topic, JSON, keyed by its life.

A statement is true of the moment at which it was made, and each replaces the one before under its key. All times are
Unix milliseconds of the process's clock, for people to read: nothing is concluded from comparing those of two machines.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from common.audit.header import Life

MAX_NUMBER = 10**18 - 1
"""What has room in the header, 18 digits."""
MAX_TIME_MS = 253_402_300_799_999
"""The end of the year 9999, beyond which no time can be told."""

Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_MS)]
Ranges = list[tuple[Number, Number]]
"""Numbers, as ascending ranges that do not touch; both ends belong to a range."""
SetAside = dict[str, dict[str, Ranges]]
"""Name of a life → topic → numbers."""


class TopicStatement(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a process says of its records of one topic."""

    given: Number
    """The last number that it gave. A record under a higher one may be on the topic already: it was taken since."""
    confirmed_through: Number = 0
    """Kafka has confirmed all numbers up to this one, but for those that were set aside or are `never_durable`."""
    durable_through: Number = 0
    """All numbers up to this one became durable, by Kafka or the disk, but for those that were set aside or are
    `never_durable`."""
    never_durable: Ranges = []
    """Of a life that has ended: nobody was told 200 for these, and they may be missing. They may also be there."""
    is_exact: bool = True
    """Of a life that has ended: whether `given` and `never_durable` are all there is to say. After a power cut they
    are not: higher numbers may have been given, and what is missing above `durable_through` is not proven either
    way."""


class Previous(msgspec.Struct, frozen=True, kw_only=True):
    """The life before, which this one follows."""

    epoch: Number
    given: dict[str, Number]
    """Topic → the last number of it that was given in that life."""


class Statement(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a process says of itself and of what it holds."""

    process: str
    epoch: Number
    folder: str
    """Id of the folder of its journals: what a process leaves there, any other of the same folder takes over."""
    host: str
    pid: Number
    version: str
    started_ms: TimeMs
    time_ms: TimeMs
    """When this was true."""
    interval_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)]
    """How often it makes a statement."""
    topics: dict[str, TopicStatement]
    """Each topic that it writes numbered records to, also those of which it took none."""
    ended: Literal["", "stopped", "killed"] = ""
    """Empty while it lives; "stopped" where it says so itself, after it gave its journals back; "killed" where whoever
    found it dead says so."""
    previous: Previous | None = None
    """None where it is the first under its id."""
    looks: Number = 0
    """How often it has looked through the folder and found no journal without an owner but those that it took over. The
    first time is at its start."""
    taken_over: Number = 0
    """How many records of other lives, from journals that it took over, wait for Kafka."""
    set_aside: SetAside = {}
    """Records that Kafka refuses for good, of whatever life, which it has put where operators find them: they do not
    come, unless somebody publishes them later."""

    @property
    def life(self) -> Life:
        """Whose statement it is."""
        return Life(self.process, self.epoch)

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return self.life.name.encode()

    def encode(self) -> bytes:
        """The value of its record."""
        return msgspec.json.encode(self)


_decoder = msgspec.json.Decoder(Statement)


def decode_statement(value: bytes) -> Statement:
    """The statement of a record. Fields that a later version has added are passed over.

    Raises:
        msgspec.DecodeError: it is none. A `ValidationError`, which says what is wrong, is one.
    """
    return _decoder.decode(value)
