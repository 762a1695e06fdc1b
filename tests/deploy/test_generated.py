"""What of the chart is generated is up to date, and what is copied is equal to its origin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.settings import BridgeSettings
from consumers.settings import ConsumersSettings
from deploy.helm import generated
from deploy.helm.values_schema import secret_settings

SCHEMA = json.loads((generated.CHART / "values.schema.json").read_text())
OF_COMPONENT = {
    BridgeSettings: SCHEMA["properties"]["ingress"]["properties"],
    ConsumersSettings: SCHEMA["definitions"]["worker"]["properties"],
}


def test_the_generated_files_are_up_to_date() -> None:
    assert [str(path.relative_to(generated.CHART)) for path in generated.stale()] == [], "make chart"


@pytest.mark.parametrize("settings_class", OF_COMPONENT, ids=["ingress", "worker"])
def test_every_setting_can_be_set(settings_class: type[BridgeSettings | ConsumersSettings]) -> None:
    variables = {
        f"{settings_class.model_config.get('env_prefix')}{field}".upper() for field in settings_class.model_fields
    }
    properties = OF_COMPONENT[settings_class]
    assert variables <= set(properties["settings"]["properties"])
    assert variables == set(properties["secretSettings"]["properties"])


def test_the_chart_knows_which_settings_are_secrets() -> None:
    """Those that may hold a secret, but need not, it judges by their value."""
    named = ("APPS", "IM_APPS", "KAFKA_SASL_PASSWORD", "FORWARD_SECRET", "CONSOLE_TOKEN")
    template = (generated.CHART / "templates" / "_settings.tpl").read_text()
    assert "list " + " ".join(f'"{name}"' for name in named) in template
    found = secret_settings(BridgeSettings) | secret_settings(ConsumersSettings)
    assert {name.split("_", 1)[1] for name in found} - set(named) == {"DECISION_URLS", "REDIS_URL"}


def test_rules_and_dashboards_are_copied_and_what_has_no_origin_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chart, rules, grafana = tmp_path / "chart", tmp_path / "rules.yaml", tmp_path / "grafana"
    for name, place in {"CHART": chart, "RULES": rules, "DASHBOARDS": grafana}.items():
        monkeypatch.setattr(generated, name, place)
    generated.write()
    assert generated.stale() == []
    grafana.mkdir()
    (grafana / "ingress.json").write_text("{}")
    rules.write_text("groups: []\n")
    copies = [chart / "files" / "rules.yaml", chart / "files" / "dashboards" / "ingress.json"]
    assert generated.stale() == copies
    generated.write()
    assert [path.read_text() for path in copies] == ["groups: []\n", "{}"]
    rules.unlink()
    assert generated.stale() == copies[:1]
    generated.write()
    assert not copies[0].exists()
