"""Notices that a topic was deleted and made again under its name: its offsets mean other records then."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from common.logs import fields
from consumers.audit.absences import note_lost_end
from consumers.audit.ledger import AuditLedger

log = logging.getLogger(__name__)

SURE_LOOKS = 2
"""So often a topic must have another id: a broker that lags behind tells the former one."""


class TopicsAnew:
    """The ids of topics, as they were read.

    Args:
        ledger: keeps the ids, and is told what is gone.
        audit_topic: whose statements are read anew.
    """

    def __init__(self, ledger: AuditLedger, audit_topic: str) -> None:
        self._ledger = ledger
        self._audit_topic = audit_topic
        self._looks: dict[tuple[str, str], int] = {}

    @property
    def are_open(self) -> bool:
        """Whether a topic may be another one, so that nothing can be concluded from what is read of it."""
        return bool(self._looks)

    def look(self, ids: Mapping[str, str], now_ms: int) -> set[str]:
        """Note the ids of topics as they are now; which of them were made anew, and are to be read from the start."""
        known = self._ledger.topic_ids
        others = {(topic, found) for topic, found in ids.items() if known.setdefault(topic, found) != found}
        self._looks = {other: self._looks.get(other, 0) + 1 for other in others}
        anew = {topic for (topic, _), looks in self._looks.items() if looks >= SURE_LOOKS}
        for topic in anew:
            del self._looks[topic, ids[topic]]
            known[topic] = ids[topic]
            self._begin_anew(topic, now_ms)
        return anew

    def _begin_anew(self, topic: str, now_ms: int) -> None:
        log.error(
            "%s was deleted and made anew: it is read from its beginning",
            topic,
            extra=fields("topic_anew", topic=topic),
        )
        if topic == self._audit_topic:
            self._ledger.begin_audit_topic_anew()
        for one in self._ledger.logs_of(topic):
            lost = one.ends_at(0, now_ms)
            one.begin_anew()
            if lost is not None:
                note_lost_end(self._ledger, lost)
