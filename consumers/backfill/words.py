"""What was found, in words: of an hour, and of all together."""

from __future__ import annotations

from collections.abc import Sequence

from common.text import plural
from consumers.archive.hour import Hour
from consumers.backfill.hour_count import HourCount

COLUMNS = ("hour", "app", "chat", "archived", "there", "dead letters", "repeated", "missing", "published", "bad lines")


def row(count: HourCount) -> list[str]:
    """An hour as a line of a table; an hour of Beijing is told in UTC."""
    numbers = (count.archived, count.there, count.dead_letters, count.repeated, count.missing, count.published)
    hour = count.start[:16].replace("T", " ") + "Z"
    if count.state == "no_file":
        return [hour, count.app, count.chat, "no file", *[""] * 6]
    if count.state != "compared":
        return [hour, count.app, count.chat, count.state, *[""] * 6]
    return [hour, count.app, count.chat, *(f"{number:,}" for number in (*numbers, count.bad_lines))]


def summed(counts: Sequence[HourCount]) -> dict[str, int]:
    """The sums of the numbers of all hours."""
    names = ("archived", "there", "dead_letters", "repeated", "missing", "published", "weak", "too_large")
    sums = {name: sum(getattr(one, name) for one in counts) for name in (*names, "outside", "bad_lines")}
    return {"hours": len(counts), **sums, "not_compared": sum(one.state not in _COMPARED for one in counts)}


def sentence(counts: Sequence[HourCount]) -> str:
    """What all hours come to: what the platform has sent, and what of that is here."""
    sums = summed(counts)
    sent = sums["archived"] - sums["repeated"]
    here = sums["there"] + sums["published"] + sums["dead_letters"]
    parts = [f"The platform has sent {sent:,}, {here:,} are here"]
    if sums["published"]:
        parts.append(f"{sums['published']:,} of these were published just now")
    if sums["dead_letters"]:
        parts.append(f"{plural_number(sums['dead_letters'], 'is a dead letter', 'are dead letters')}")
    if still := sums["missing"] - sums["published"]:
        parts.append(f"{plural_number(still, 'is missing', 'are missing')}")
    if sums["weak"]:
        parts.append(f"{sums['weak']:,} of the missing ones without the id of their callback")
    text = "; ".join(parts) + "."
    if sums["bad_lines"]:
        text += (
            f" {plural(sums['bad_lines'], 'line')} of the files {'is' if sums['bad_lines'] == 1 else 'are'} no message."
        )
    if sums["not_compared"]:
        text += f" {plural(sums['not_compared'], 'hour')} could not be compared."
    return text


def short(count: HourCount) -> str:
    """An hour while it is compared."""
    hour = Hour.parse(count.hour)
    found = f"{count.archived:,} archived, {count.missing:,} missing, {count.published:,} published"
    return f"{hour}, {count.chat} of {count.app}: {found}"


def plural_number(count: int, one: str, many: str) -> str:
    """A number and what is said of so many."""
    return f"{count:,} {one if count == 1 else many}"


_COMPARED = {"compared", "no_file"}
