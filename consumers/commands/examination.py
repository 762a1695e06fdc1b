"""What `consumers doctor` does: tries everything that the workers depend on, and changes nothing."""

from __future__ import annotations

from functools import partial

import typer
from yarl import URL

from common.finding import Finding, show_findings
from common.kafka.examination import connection_problem, examine_kafka
from common.terminal import plural
from common.topic import Topic
from consumers.badges.redis_examination import examine_redis
from consumers.badges.store import BadgeStore
from consumers.commands.execution import quiet_settings, run_to_end
from consumers.errors import RetryLater, WorkerRefusedError
from consumers.settings import ConsumersSettings


def run(*, as_json: bool) -> None:
    """Print what was found.

    Raises:
        typer.Exit: with status 1, if there is a fault.
    """
    findings = run_to_end(_examine(quiet_settings()))
    raise typer.Exit(0 if show_findings(findings, as_json=as_json) else 1)


async def _examine(settings: ConsumersSettings) -> list[Finding]:
    written = {
        one.name: partial(_written_topic, one) for one in (settings.badges, settings.dead_letters, settings.audit)
    }
    topics = {settings.topic: partial(_read_topic, settings.topic), **written}
    return [*await examine_kafka(settings, topics), await _redis(settings), *await _forward(settings)]


async def _read_topic(name: str, partitions: int | None) -> Finding:
    subject = f"topic {name}"
    if partitions is None:
        return Finding(subject, False, "missing: the bridge makes it when it starts. Or see CONSUMERS_TOPIC")
    return Finding(subject, True, f"{plural(partitions, 'partition')}: so many workers share them at most")


async def _written_topic(topic: Topic, partitions: int | None) -> Finding:
    subject = f"topic {topic.name}"
    if partitions is None:
        return Finding(subject, True, f"missing; created at the start, or: {topic.command('…')}")
    return Finding(subject, True, plural(partitions, "partition"))


async def _redis(settings: ConsumersSettings) -> Finding:
    """Whether Redis can keep badges, and still has those that it was given."""
    store = BadgeStore(settings)
    subject = f"Redis at {store.connection.shown_url}"
    try:
        await store.check()
        is_lost = bool(store.state.lost_at_ms)
        kind, problems = await examine_redis(store.connection)
    except (RetryLater, WorkerRefusedError) as error:
        return Finding(subject, False, f"{error}: see CONSUMERS_REDIS_URL (for `badges` and `reconcile`)")
    finally:
        await store.close()
    if is_lost:
        return Finding(subject, False, "it has lost badges: run `consumers run badges`, or `consumers badge rebuild`")
    if problems:
        return Finding(subject, False, f"{kind}; {'; '.join(problems)}")
    return Finding(subject, True, f"{kind}, answers, and can keep badges")


async def _forward(settings: ConsumersSettings) -> list[Finding]:
    """Whether something listens where callbacks are forwarded to. Nothing is posted: that has effects."""
    if settings.forward_url is None:
        return []
    url = URL(settings.forward_url)
    subject = f"handler at {url.origin()}"
    problem = await connection_problem(url.host or "", url.port or 0)
    if problem is None:
        return [Finding(subject, True, "something listens")]
    return [Finding(subject, False, f"cannot be reached ({problem}): see CONSUMERS_FORWARD_URL")]
