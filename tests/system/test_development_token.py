"""The token that everybody knows is for trying things: whoever opens it to other machines is told."""

import pytest

from tests.conftest import MakeIngress

NO_KAFKA = "127.0.0.1:1"
WARNING = "app 1400000000 accepts the development token dev-token"


@pytest.mark.parametrize(
    ("host", "token", "warned"),
    [("0.0.0.0", "dev-token", True), ("127.0.0.1", "dev-token", False), ("0.0.0.0", "mine", False)],
)
def test_the_log_names_the_development_token(ingress: MakeIngress, host: str, token: str, *, warned: bool) -> None:
    bridge = ingress(NO_KAFKA, BRIDGE_HOST=host, BRIDGE_APPS=f'{{"1400000000":["{token}"]}}')
    assert (WARNING in bridge.output()) is warned
    assert ("BRIDGE_APPS=" in bridge.output()) is warned
    assert "mine" not in bridge.output()
