"""Callback in, event out: the real ingress, a real Kafka, read by a client that is not ours."""

from tests.support.callbacks import sample


def test_a_documented_callback_becomes_the_documented_event(ingress, broker) -> None:
    bridge = ingress(broker)
    reply = bridge.post(sample("C2C.CallbackAfterMsgWithDraw.v1"))
    print(reply, bridge.topics)
    print(bridge.output())
    from tests.support.topic import read_all
    print(read_all(broker.bootstrap, bridge.topics.events))
    for name, value in sorted(bridge.metrics().items()): print(name, value)
    print("exit", bridge.terminate())
    print(bridge.output())
