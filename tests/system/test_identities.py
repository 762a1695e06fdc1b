"""The ids of events that reach Kafka, compared with what the reference says of each documented body."""

from __future__ import annotations

import time
from collections import defaultdict

from bridge.events import registry
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import samples
from tests.support.identity_variants import said_identity
from tests.support.topic import wait_for_events

HALF_A_MINUTE_S = 30


def test_every_documented_body_that_comes_twice_has_one_id_exactly_where_the_reference_says_so(
    ingress: MakeIngress, broker: Broker
) -> None:
    bridge = ingress(broker)
    said: dict[str, list[str | None]] = {}
    for number, (name, callback) in enumerate(samples().items()):
        entry = registry.find(callback.command)
        assert entry is not None, name
        batch = entry.callback.batch
        items = callback.json[batch] if batch else [callback.json]
        client = f"10.0.{number // 256}.{number % 256}"
        said[client] = [said_identity(entry, item) for item in items]
        for ago_s in (HALF_A_MINUTE_S, 0):
            reply = bridge.post(callback, request_time=int(time.time()) - ago_s, ClientIP=client)
            assert reply.status == 200, name

    wanted = 2 * sum(map(len, said.values()))
    messages = wait_for_events(broker.bootstrap, bridge.topics.events, lambda found: len(found) >= wanted)
    ids: dict[str, list[str]] = defaultdict(list)
    for message in messages:
        ids[message.event["clientip"]].append(message.event["id"])
    happened = {client: sorted(map(found.count, found)) for client, found in ids.items()}
    assert happened == {
        client: sorted(2 if one else 1 for one in identities for _ in range(2)) for client, identities in said.items()
    }
    exact = {client: found[0] for client, found in ids.items() if len(found) == 2 and len(set(found)) == 1}
    assert 0 < len(exact) < len(said)
    assert len(set(exact.values())) == len({said[client][0] for client in exact}), "one id for each identity"
