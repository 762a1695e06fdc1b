"""Values that cannot work are refused before anything is installed, in words that say which one and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.rendering import refused

BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a misspelt setting": (
        {"ingress": {"settings": {"BRIDGE_WORKER": 2}}},
        ["/ingress/settings", "BRIDGE_WORKER"],
    ),
    "a misspelt value": ({"ingres": {"replicas": 2}}, ["ingres"]),
    "a setting of the workers at the ingress": (
        {"ingress": {"settings": {"CONSUMERS_TOPIC": "a"}}},
        ["/ingress/settings", "CONSUMERS_TOPIC"],
    ),
    "a text for a number": (
        {"ingress": {"settings": {"BRIDGE_WORKERS": "two"}}},
        ["/ingress/settings/BRIDGE_WORKERS", "string", "integer"],
    ),
    "a number beyond what the setting takes": (
        {"ingress": {"settings": {"BRIDGE_REPLY_DEADLINE_MS": 5000}}},
        ["/ingress/settings/BRIDGE_REPLY_DEADLINE_MS", "1,900"],
    ),
    "a word that the setting does not have": (
        {"ingress": {"settings": {"BRIDGE_COMPRESSION": "brotli"}}},
        ["/ingress/settings/BRIDGE_COMPRESSION", "zstd"],
    ),
    "no admin port, which probes need": (
        {"ingress": {"settings": {"BRIDGE_ADMIN_PORT": 0}}},
        ["/ingress/settings/BRIDGE_ADMIN_PORT"],
    ),
    "no ingress": ({"ingress": {"replicas": 0}}, ["/ingress/replicas"]),
    "a network file system": (
        {"ingress": {"persistence": {"accessModes": ["ReadWriteMany"]}}},
        ["/ingress/persistence/accessModes", "ReadWriteOnce"],
    ),
    "a size that is none": ({"ingress": {"persistence": {"size": "8 GB"}}}, ["/ingress/persistence/size"]),
    "a disk too small for the journals": (
        {"ingress": {"settings": {"BRIDGE_WORKERS": 4}}},
        ["ingress.persistence.size", "8Gi", "BRIDGE_WORKERS (4)", "BRIDGE_JOURNAL_MAX_BYTES (2147483648)", "10138 MiB"],
    ),
    "no brokers": ({"kafka": {"bootstrapServers": ""}}, ["kafka.bootstrapServers", "host:port"]),
    "a protocol that Kafka does not have": (
        {"kafka": {"securityProtocol": "TLS"}},
        ["/kafka/securityProtocol", "SASL_SSL"],
    ),
    "SASL without a user": (
        {"kafka": {"securityProtocol": "SASL_SSL", "sasl": {"existingSecret": "a"}}},
        ["kafka.sasl.username"],
    ),
    "SASL without a password": (
        {"kafka": {"securityProtocol": "SASL_SSL", "sasl": {"username": "a"}}},
        ["kafka.sasl.existingSecret", "kafka.sasl.passwordKey"],
    ),
    "certificates without TLS": ({"kafka": {"tls": {"caSecret": "a"}}}, ["kafka.tls", "SASL_SSL"]),
    "no Secret with the tokens": (
        {"ingress": {"existingSecret": ""}},
        ["ingress.secretSettings.BRIDGE_APPS", "ingress.existingSecret"],
    ),
    "tokens that everybody could read": (
        {"ingress": {"settings": {"BRIDGE_APPS": {"1400000000": ["geheim"]}}, "secretSettings": {"BRIDGE_APPS": None}}},
        ["ingress.settings.BRIDGE_APPS", "ingress.secretSettings.BRIDGE_APPS"],
    ),
    "a password that everybody could read": (
        {"workers": {"badges": {"settings": {"CONSUMERS_REDIS_URL": "redis://:geheim@redis:6379/0"}}}},
        ["workers.badges.settings.CONSUMERS_REDIS_URL", "secretSettings"],
    ),
    "a setting in two places": (
        {"workers": {"badges": {"existingSecret": "a", "secretSettings": {"CONSUMERS_REDIS_URL": {}}}}},
        ["workers.badges.settings", "workers.badges.secretSettings", "CONSUMERS_REDIS_URL"],
    ),
    "a secret from two places": (
        {"ingress": {"secretSettings": {"BRIDGE_APPS": {"secret": "a", "value": "{}"}}}},
        ["/ingress/secretSettings/BRIDGE_APPS"],
    ),
    "a file from nowhere": (
        {"ingress": {"fileSettings": {"BRIDGE_KAFKA_SSL_CAFILE": {"key": "ca.crt"}}}},
        ["/ingress/fileSettings/BRIDGE_KAFKA_SSL_CAFILE"],
    ),
    "badges without Redis": (
        {"workers": {"badges": {"settings": {"CONSUMERS_REDIS_URL": None}}}},
        ["workers.badges", "CONSUMERS_REDIS_URL"],
    ),
    "the audit scaled by a lag that it has not": (
        {"workers": {"audit": {"enabled": True, "autoscaling": {"enabled": True}}}},
        ["workers.audit.autoscaling.enabled", "replicas"],
    ),
    "two that backfill": (
        {"workers": {"backfill": {"enabled": True, "existingSecret": "a", "replicas": 2}}},
        ["workers.backfill.replicas", "must be 1"],
    ),
    "backfill without the keys of an app": (
        {"workers": {"backfill": {"enabled": True, "secretSettings": {"CONSUMERS_IM_APPS": None}}}},
        ["workers.backfill", "CONSUMERS_IM_APPS"],
    ),
    "forward without a handler": (
        {"workers": {"forward": {"enabled": True}}},
        ["workers.forward", "CONSUMERS_FORWARD_URL"],
    ),
    "one name for all members of a group": (
        {"workers": {"badges": {"settings": {"CONSUMERS_GROUP_INSTANCE_ID": "a"}}}},
        ["workers.badges.settings.CONSUMERS_GROUP_INSTANCE_ID", "replica"],
    ),
    "a worker with the name of another component": ({"workers": {"ingress": {}}}, ["workers.ingress"]),
    "a worker whose name is none": ({"workers": {"My_Worker": {}}}, ["My_Worker"]),
    "reconcile scaled by a lag that it has not": (
        {
            "workers": {
                "reconcile": {
                    "enabled": True,
                    "autoscaling": {"enabled": True},
                    "existingSecret": "a",
                    "settings": {"CONSUMERS_REDIS_URL": "redis://redis"},
                }
            }
        },
        ["workers.reconcile.autoscaling.enabled", "replicas"],
    ),
    "a worker of yours scaled, whose group nobody knows": (
        {"workers": {"mine": {"worker": "my.module:Mine", "autoscaling": {"enabled": True}}}},
        ["workers.mine.autoscaling.consumerGroup"],
    ),
    "fewer at most than at least": (
        {"ingress": {"autoscaling": {"enabled": True, "minReplicas": 9}}},
        ["ingress.autoscaling.minReplicas", "maxReplicas"],
    ),
    "a drain of a pod that is there": ({"drain": {"ordinals": [1]}}, ["drain.ordinals", "ingress.replicas"]),
    "an Ingress for no host": ({"front": {"ingress": {"enabled": True}}}, ["/front/ingress/hosts"]),
    "a route from no gateway": ({"front": {"httpRoute": {"enabled": True}}}, ["/front/httpRoute/parentRefs"]),
    "an interval without its unit": (
        {"monitoring": {"serviceMonitor": {"interval": "15"}}},
        ["/monitoring/serviceMonitor/interval"],
    ),
    "a budget that is no share": (
        {"ingress": {"podDisruptionBudget": {"maxUnavailable": "half"}}},
        ["/ingress/podDisruptionBudget/maxUnavailable"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_work_is_refused_by_name(case: str) -> None:
    values, told = BAD[case]
    message = refused("smallest", values=values)
    assert [part for part in told if part not in message] == [], message
    assert "geheim" not in message
