from __future__ import annotations

import pytest

from tests.consumers.runtime.deliveries import FakeProducer


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()
