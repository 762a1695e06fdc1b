"""The topic for the audit as it is created, whoever comes first: the ingress, which states, or the audit itself."""

from __future__ import annotations

from common.topic import Topic

SEGMENT_BYTES = 16 * 1024 * 1024
"""Kafka compacts what is in closed segments only. A command reads the topic whole, so they are to be small."""


def audit_topic(name: str, replication: int) -> Topic:
    """The topic; -1 replicas = the broker's default.

    Each life's last statement is kept for ever: it says what there must be. There is one partition, so that what is
    said of several lives has an order.
    """
    return Topic(name, 1, replication, {"cleanup.policy": "compact", "segment.bytes": str(SEGMENT_BYTES)})
