"""What the chart makes of values: the settings that reach the processes, and what keeps journals from being lost."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.settings import BridgeSettings
from common.settings import load_settings
from consumers.settings import ConsumersSettings
from deploy.helm.generated import CHART
from tests.deploy.rendering import MATRIX, Document, container, environment_of, one, render

INGRESS = "im-im-bridge-ingress"
FILES = "/etc/im-bridge"


def settings_of(
    document: Document, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> BridgeSettings | ConsumersSettings:
    """The settings that the process in a pod would have, with the files that the pod has."""
    monkeypatch.chdir(folder)
    for name, value in environment_of(document).items():
        monkeypatch.setenv(name, value.replace(FILES, str(folder)))
    return load_settings(BridgeSettings) if document["kind"] == "StatefulSet" else load_settings(ConsumersSettings)


def test_values_of_every_kind_reach_the_process_as_they_were_meant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contents = {
        "BRIDGE_APPS": '{"1400000000":["token"]}',
        "BRIDGE_IM_APPS": '{"1400000000":{"administrator":"admin","key":"k","region":"china"}}',
        "BRIDGE_DECISION_URLS": '{"C2C.CallbackBeforeSendMsg":"http://moderation:8000/"}',
        "BRIDGE_KAFKA_SASL_PASSWORD": "geheim",
        **dict.fromkeys(("BRIDGE_KAFKA_SSL_CAFILE", "BRIDGE_KAFKA_SSL_CERTFILE", "BRIDGE_KAFKA_SSL_KEYFILE"), "pem"),
    }
    del contents["BRIDGE_IM_APPS"]  # its form is not of interest here
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    values = {"ingress": {"secretSettings": {"BRIDGE_IM_APPS": None}}}
    settings = settings_of(one(render("everything", values=values), "StatefulSet"), monkeypatch, tmp_path)
    assert isinstance(settings, BridgeSettings)
    assert settings.workers == 2
    assert settings.journal_max_bytes == 2_147_483_648
    assert list(map(str, settings.trusted_proxies)) == ["10.0.0.0/8", "fd00::/8"]
    assert settings.gather_ms == 1.5
    assert settings.keep_raw is True
    assert settings.log_format == "json"
    assert settings.kafka_sasl_mechanism == "SCRAM-SHA-512"
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_ssl_cafile == tmp_path / "BRIDGE_KAFKA_SSL_CAFILE"
    assert set(settings.apps) == {"1400000000"}
    assert set(settings.decision_urls) == {"C2C.CallbackBeforeSendMsg"}


def test_a_worker_has_its_own_kafka_where_one_is_given_and_settings_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    documents = render("everything")
    monkeypatch.setenv("CONSUMERS_FORWARD_SECRET_FILE", "")
    (tmp_path / "CONSUMERS_FORWARD_SECRET").write_text("geheim")
    settings = settings_of(one(documents, "Deployment", "im-im-bridge-forward"), monkeypatch, tmp_path)
    assert isinstance(settings, ConsumersSettings)
    assert settings.kafka_bootstrap_servers == "other:9092"
    assert settings.kafka_security_protocol == "PLAINTEXT"
    assert settings.forward_url == "http://handler:8000/callbacks"
    archive = one(documents, "Deployment", "im-im-bridge-archive")
    assert container(archive)["args"] == ["consumers", "run", "archive.worker:Archive"]
    assert container(archive)["image"] == "registry.example.com/archive:7"
    assert archive["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 20 + 7


@pytest.mark.parametrize("name", MATRIX)
def test_what_the_ingress_marks_outlives_its_container_but_not_its_pod(name: str) -> None:
    ingress = one(render(name), "StatefulSet")
    volumes = {one["name"]: one for one in ingress["spec"]["template"]["spec"]["volumes"]}
    assert volumes["marks"]["emptyDir"]["medium"] == "Memory"
    assert {"name": "marks", "mountPath": "/dev/shm"} in container(ingress)["volumeMounts"]


def test_the_audit_and_the_backfill_are_started_as_what_they_are() -> None:
    documents = render("everything")
    audit = one(documents, "Deployment", "im-im-bridge-audit")
    assert container(audit)["args"] == ["consumers", "run", "audit"]
    backfill = one(documents, "Deployment", "im-im-bridge-backfill")
    assert container(backfill)["args"] == ["consumers", "backfill", "--watch", "--publish"]
    assert backfill["spec"]["replicas"] == 1
    assert backfill["spec"]["strategy"] == {"type": "Recreate"}, "two would publish the same twice"
    folder = environment_of(backfill)["CONSUMERS_ARCHIVE_DIR"]
    assert {"name": "archive", "mountPath": folder} in container(backfill)["volumeMounts"]
    (volume,) = [one for one in backfill["spec"]["template"]["spec"]["volumes"] if one["name"] == "archive"]
    assert volume["emptyDir"] == {"sizeLimit": "20Gi"}


def test_the_backfill_only_compares_unless_told_and_keeps_its_place_in_a_claim() -> None:
    backfill = {"enabled": True, "existingSecret": "a", "archive": {"existingClaim": "archive"}}
    found = one(render("smallest", values={"workers": {"backfill": backfill}}), "Deployment", "im-im-bridge-backfill")
    assert container(found)["args"] == ["consumers", "backfill", "--watch"]
    (volume,) = [one for one in found["spec"]["template"]["spec"]["volumes"] if one["name"] == "archive"]
    assert volume["persistentVolumeClaim"] == {"claimName": "archive"}


@pytest.mark.parametrize("name", MATRIX)
def test_every_file_that_a_setting_names_is_mounted(name: str) -> None:
    for document in render(name):
        if document["kind"] not in {"StatefulSet", "Deployment", "Job"}:
            continue
        volumes = {one["name"]: one for one in document["spec"]["template"]["spec"]["volumes"]}
        sources = volumes.get("settings", {}).get("projected", {}).get("sources", [])
        mounted = {f"{FILES}/{item['path']}" for one in sources for kind in one.values() for item in kind["items"]}
        named = {value for value in environment_of(document).values() if value.startswith(FILES)}
        assert named == mounted
        assert ("settings" in {one["name"] for one in container(document)["volumeMounts"]}) == bool(mounted)


def test_a_secret_that_is_given_as_a_value_is_in_a_secret_alone_and_a_new_one_restarts_the_pods() -> None:
    def pods(token: str) -> tuple[list[Document], Any]:
        documents = render("bare", values={"ingress": {"secretSettings": {"BRIDGE_APPS": {"value": {"1": [token]}}}}})
        return documents, one(documents, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]

    documents, annotations = pods("geheim")
    assert json.loads(one(documents, "Secret")["stringData"]["BRIDGE_APPS"]) == {"1": ["geheim"]}
    assert [one["kind"] for one in documents if "geheim" in json.dumps(one)] == ["Secret"]
    assert annotations != pods("anderes")[1]
    assert annotations == pods("geheim")[1]


def test_a_new_version_of_the_chart_alone_restarts_no_pod(tmp_path: Path) -> None:
    newer = shutil.copytree(CHART, tmp_path / "im-bridge")
    description = yaml.safe_load((newer / "Chart.yaml").read_text())
    (newer / "Chart.yaml").write_text(yaml.safe_dump(description | {"version": "99.0.0"}))
    for kind in ("StatefulSet", "Deployment"):
        template = one(render("smallest"), kind)["spec"]["template"]
        assert one(render("smallest", chart=newer), kind)["spec"]["template"] == template


@pytest.mark.parametrize("name", MATRIX)
def test_claims_outlive_their_pods_and_all_that_a_stop_takes_fits_into_the_grace_period(name: str) -> None:
    ingress = one(render(name), "StatefulSet")
    assert ingress["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"] == "Retain"
    variables = environment_of(ingress)
    command = container(ingress)["lifecycle"]["preStop"]["exec"]["command"]
    assert command[:3] == ["bridge", "journal", "wait"]
    (timeout,) = [int(part.removeprefix("--timeout=")) for part in command if part.startswith("--timeout=")]
    grace = ingress["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= timeout + float(variables.get("BRIDGE_STOP_TIMEOUT_S", 8)) + 5
    (mount,) = [one for one in container(ingress)["volumeMounts"] if one["name"] == "journal"]
    assert mount["mountPath"] == variables["BRIDGE_JOURNAL_DIR"]


def test_a_drain_job_has_the_claim_of_the_pod_whose_number_it_is_given() -> None:
    documents = render("smallest", values={"drain": {"ordinals": [4]}})
    job = one(documents, "Job")
    claims = [one["persistentVolumeClaim"]["claimName"] for one in job["spec"]["template"]["spec"]["volumes"][:1]]
    (template,) = one(documents, "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert claims == [f"{template['metadata']['name']}-{INGRESS}-4"]
    kafka = {name: value for name, value in environment_of(job).items() if "KAFKA" in name}
    assert kafka.items() <= environment_of(one(documents, "StatefulSet")).items()
    assert kafka
    assert "BRIDGE_APPS" not in json.dumps(job), "it needs no tokens"


def test_a_drain_job_has_all_that_the_settings_of_the_ingress_ask_for() -> None:
    """`auto` is no setting without BRIDGE_IM_APPS, and a process with such settings does not start."""
    ingress = {"settings": {"BRIDGE_ALLOWED_NETWORKS": "auto"}, "secretSettings": {"BRIDGE_IM_APPS": {}}}
    values = {"ingress": ingress, "drain": {"ordinals": [4]}}
    assert "BRIDGE_IM_APPS_FILE" in environment_of(one(render("smallest", values=values), "Job"))


def test_the_admin_port_is_in_one_service_alone_and_closed_to_strangers() -> None:
    """KEDA asks every address of every Service of the namespace that has this port: a pod in two would count twice."""
    documents = render("everything")
    ports = [port["targetPort"] for each in documents if each["kind"] == "Service" for port in each["spec"]["ports"]]
    assert sorted(ports) == ["admin", "callbacks"]
    rules = one(documents, "NetworkPolicy", INGRESS)["spec"]["ingress"]
    assert [(rule["ports"][0]["port"], bool(rule.get("from"))) for rule in rules] == [
        ("callbacks", True),
        ("admin", True),
    ]
    (open_to_all, _) = one(render("smallest"), "NetworkPolicy", INGRESS)["spec"]["ingress"]
    assert "from" not in open_to_all


@pytest.mark.parametrize("name", ["smallest", "everything", "tls"])
def test_pods_have_no_more_rights_than_they_need(name: str) -> None:
    for document in render(name):
        if document["kind"] in {"StatefulSet", "Deployment", "Job"}:
            pod = document["spec"]["template"]["spec"]
            assert pod["automountServiceAccountToken"] is False
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert container(document)["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container(document)["resources"]["limits"]["memory"]


def test_keda_compares_one_pods_metrics_and_holds_while_kafka_or_a_disk_is_away() -> None:
    scaling = one(render("everything"), "ScaledObject", INGRESS)["spec"]
    assert scaling["minReplicaCount"] >= 1
    asked = [trigger for trigger in scaling["triggers"] if trigger["type"] == "metrics-api"]
    assert {trigger["metricType"] for trigger in asked} == {"Value"}
    assert {trigger["metadata"]["format"] for trigger in asked} == {"prometheus"}
    url = f"http://{INGRESS}-pods.callbacks.svc:9091/metrics"
    assert {trigger["metadata"]["url"] for trigger in asked} == {url}
    degraded = asked[-1]["metadata"]
    assert (degraded["valueLocation"], degraded["targetValue"], degraded["aggregationType"]) == (
        "bridge_degraded",
        "1",
        "max",
    )
    assert "replicas" not in one(render("everything"), "StatefulSet")["spec"]


def test_keda_asks_for_the_lag_of_the_group_as_the_worker_would() -> None:
    documents = render("tls")
    (trigger,) = one(documents, "ScaledObject", "im-im-bridge-badges")["spec"]["triggers"]
    assert trigger["metadata"].items() >= {"consumerGroup": "badges", "topic": "im.events", "sasl": "plaintext"}.items()
    assert trigger["metadata"]["tls"] == "disable"
    secrets = one(documents, "TriggerAuthentication")["spec"]["secretTargetRef"]
    assert {(one["parameter"], one["name"], one["key"]) for one in secrets} == {
        ("password", "kafka-user", "pass"),
        ("username", "kafka-user", "user"),
    }


def test_rules_and_dashboards_are_those_of_the_files_and_absent_without_them(tmp_path: Path) -> None:
    chart = shutil.copytree(CHART, tmp_path / "im-bridge")
    shutil.rmtree(chart / "files", ignore_errors=True)
    monitoring: dict[str, Any] = {
        "prometheusRule": {"enabled": True, "orphanedClaims": False},
        "dashboard": {"enabled": True},
    }
    kinds = {each["kind"] for each in render("smallest", values={"monitoring": monitoring}, chart=chart)}
    assert not kinds & {"PrometheusRule", "ConfigMap"}

    rule = {"alert": "A", "expr": "up == 0", "annotations": {"summary": "{{ $labels.pod }} {{ $value }}"}}
    (chart / "files" / "dashboards").mkdir(parents=True)
    (chart / "files" / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
    dashboard = {"title": "im", "panels": [{"targets": [{"legendFormat": "{{reason}}"}]}]}
    (chart / "files" / "dashboards" / "ingress.json").write_text(json.dumps(dashboard, indent=2))
    documents = render("smallest", values={"monitoring": monitoring}, chart=chart)
    assert one(documents, "PrometheusRule")["spec"]["groups"] == [{"name": "g", "rules": [rule]}]
    made = one(documents, "ConfigMap")
    assert json.loads(made["data"]["ingress.json"]) == dashboard
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_a_claim_without_a_pod_is_alarmed() -> None:
    groups = one(render("smallest", values={"monitoring": {"prometheusRule": {"enabled": True}}}), "PrometheusRule")[
        "spec"
    ]
    (rule,) = [
        rule for group in groups["groups"] for rule in group["rules"] if rule["alert"] == "ImBridgeOrphanedClaim"
    ]
    assert f"journal-{INGRESS}-[0-9]+" in rule["expr"]
    assert rule["annotations"]["summary"] == "No pod has the claim {{ $labels.persistentvolumeclaim }}"


@pytest.mark.parametrize("name", MATRIX)
def test_the_notes_name_what_is_there(name: str, tmp_path: Path) -> None:
    chart = shutil.copytree(CHART, tmp_path / "im-bridge")
    notes = (chart / "templates" / "NOTES.txt").read_text()
    (chart / "templates" / "_notes.tpl").write_text(f'{{{{- define "notes" -}}}}{notes}{{{{- end -}}}}')
    (chart / "templates" / "notes.yaml").write_text(
        'apiVersion: v1\nkind: Notes\nmetadata: {name: notes}\ntext: {{ include "notes" . | toJson }}\n'
    )
    documents = render(name, chart=chart)
    text = one(documents, "Notes")["text"]
    there = {(each["kind"].lower(), each["metadata"]["name"]) for each in documents}
    named = re.findall(r"rollout status (statefulset|deployment)/(\S+)", text)
    assert len(named) == len([each for each in documents if each["kind"] in {"StatefulSet", "Deployment"}])
    assert set(named) <= there
    assert "drain.ordinals" in text
    assert ("BRIDGE_TRUSTED_PROXIES is not set" in text) is (name != "everything")


def test_targets_have_the_names_by_which_rules_know_them() -> None:
    documents = render("everything")
    (endpoint,) = one(documents, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "im-bridge"}]
    (endpoint,) = one(documents, "PodMonitor")["spec"]["podMetricsEndpoints"]
    component = "__meta_kubernetes_pod_label_app_kubernetes_io_component"
    job, own = endpoint["relabelings"]
    assert job == {"sourceLabels": [component], "targetLabel": "job", "replacement": "im-bridge-$1"}
    assert own["targetLabel"] == "node"


def test_every_value_that_the_readme_of_the_chart_names_exists() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    named = re.findall(r"`((?:image|kafka|ingress|drain|workers|workerDefaults|front|networkPolicy|monitoring)[\w.]*)`",
                       (CHART / "README.md").read_text())  # fmt: skip
    assert len(named) > 10
    for name in named:
        found = values
        for part in name.split("."):
            assert part in found, name
            found = found[part]
