"""What becomes of a batch, by the error code of its partition: https://kafka.apache.org/protocol#protocol_error_codes."""

from __future__ import annotations

import pytest
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError, RequestTimedOutError

from bridge.publish.produce.fate import Fate, error_of, fate_of

EXPECTED = {
    Fate.CONFIRMED: {"DUPLICATE_SEQUENCE_NUMBER": 46},
    Fate.AGAIN: {
        "REQUEST_TIMED_OUT": 7,
        "NOT_ENOUGH_REPLICAS": 19,
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND": 20,
        "CORRUPT_MESSAGE": 2,
        "UNKNOWN_LEADER_EPOCH": 75,
    },
    Fate.AGAIN_ELSEWHERE: {
        "UNKNOWN_TOPIC_OR_PARTITION": 3,
        "LEADER_NOT_AVAILABLE": 5,
        "NOT_LEADER_OR_FOLLOWER": 6,
        "NETWORK_EXCEPTION": 13,
        "KAFKA_STORAGE_ERROR": 56,
        "FENCED_LEADER_EPOCH": 74,
    },
    Fate.REFUSED: {
        "MESSAGE_TOO_LARGE": 10,
        "RECORD_LIST_TOO_LARGE": 18,
        "INVALID_RECORD": 87,
    },
    Fate.REFUSED_TIME: {"INVALID_TIMESTAMP": 32},
    Fate.LOST: {
        "UNKNOWN_SERVER_ERROR": -1,
        "INVALID_TOPIC_EXCEPTION": 17,
        "TOPIC_AUTHORIZATION_FAILED": 29,
        "CLUSTER_AUTHORIZATION_FAILED": 31,
        "OUT_OF_ORDER_SEQUENCE_NUMBER": 45,
        "INVALID_PRODUCER_EPOCH": 47,
        "UNKNOWN_PRODUCER_ID": 59,
        "POLICY_VIOLATION": 44,
        "PRODUCER_FENCED": 90,
        "a code of the future": 999,
    },
}


@pytest.mark.parametrize(
    ("code", "fate"),
    [pytest.param(code, fate, id=name) for fate, codes in EXPECTED.items() for name, code in codes.items()],
)
def test_an_error_code_means(code: int, fate: Fate) -> None:
    assert fate_of(error_of(code), damaged=1, is_first=True) is fate


def test_a_batch_whose_predecessor_is_not_confirmed_is_no_proof_that_the_broker_has_forgotten_us() -> None:
    assert fate_of(error_of(45), damaged=1, is_first=False) is Fate.AGAIN


def test_what_arrives_damaged_again_and_again_is_so_by_itself() -> None:
    fates = [fate_of(error_of(2), damaged=number, is_first=True) for number in (1, 2, 3)]
    assert fates == [Fate.AGAIN, Fate.AGAIN, Fate.REFUSED]


@pytest.mark.parametrize("error", [KafkaConnectionError("closed"), NodeNotReadyError(), RequestTimedOutError()])
def test_where_nobody_knows_what_became_of_a_batch_it_is_sent_again(error: KafkaConnectionError) -> None:
    assert fate_of(error, damaged=1, is_first=True) in {Fate.AGAIN, Fate.AGAIN_ELSEWHERE}
