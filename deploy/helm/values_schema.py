"""Makes `values.schema.json`: the settings as the code has them, around them what the chart itself knows.

Helm refuses values that do not fit before it renders anything, and names the place. So every object is closed but those
that are Kubernetes' own.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from bridge.settings import BridgeSettings
from common.settings import Settings
from consumers.settings import ConsumersSettings

Schema: TypeAlias = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
STRING: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
OBJECTS: Schema = {"type": "array", "items": OBJECT}
STRINGS: Schema = {"type": "array", "items": STRING}
MAP_OF_STRINGS: Schema = {"type": "object", "additionalProperties": STRING}
COUNT_OR_SHARE: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%$"}]}
DURATION: Schema = {"type": "string", "pattern": "^([0-9]+(ms|[smhd]))+$"}
QUANTITY: Schema = {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?([KMGT]i|[kMGT])?$"}
WORKER_NAME = "^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$"


def values_schema() -> str:
    """The text of the file."""
    return json.dumps(_values(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def secret_settings(settings_class: type[Settings]) -> set[str]:
    """The variables whose values nobody should read."""
    of_model = settings_class.model_json_schema(mode="validation")
    prefix = settings_class.model_config.get("env_prefix", "")
    return {
        f"{prefix}{name}".upper()
        for name, schema in of_model["properties"].items()
        if "writeOnly" in json.dumps(schema) or "$ref" in json.dumps(schema)
    }


def _values() -> Schema:
    return {
        "$schema": DIALECT,
        **_closed(
            image=_image(),
            imagePullSecrets={"type": "array", "items": _closed(name=NAME)},
            nameOverride=STRING,
            fullnameOverride=STRING,
            commonLabels=MAP_OF_STRINGS,
            kafka=_kafka(),
            ingress=_ingress(),
            front=_front(),
            workers={
                "type": "object",
                "propertyNames": {"pattern": WORKER_NAME},
                "additionalProperties": {"$ref": "#/definitions/worker"},
            },
            workerDefaults={"$ref": "#/definitions/worker"},
            drain=_closed(
                ordinals={"type": "array", "items": _integer(0), "uniqueItems": True},
                timeoutSeconds=_integer(1),
                backoffLimit=_integer(0),
                ttlSecondsAfterFinished=_integer(0),
            ),
            networkPolicy=_closed(
                enabled=BOOLEAN,
                callbacksFrom=OBJECTS,
                adminFrom=OBJECTS,
                egress=_closed(enabled=BOOLEAN, ingress=OBJECTS, workers=OBJECTS),
            ),
            monitoring=_monitoring(),
            **{"global": OBJECT},  # where it is a part of another chart
        ),
        "definitions": {"worker": _worker()},
    }


def _ingress() -> Schema:
    return _closed(
        replicas=_integer(1, "At least one: callbacks come at any time."),
        **_component(BridgeSettings),
        persistence=_closed(
            size=QUANTITY,
            storageClass=STRING,
            accessModes={"type": "array", "minItems": 1, "items": {"enum": ["ReadWriteOnce", "ReadWriteOncePod"]}},
            annotations=MAP_OF_STRINGS,
            labels=MAP_OF_STRINGS,
            whenDeleted={"enum": ["Retain", "Delete"]},
        ),
        scaleIn=_closed(lingerSeconds=_integer(0), drainSeconds=_integer(0)),
        service=_closed(
            type={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
            port=_integer(1, maximum=65535),
            nodePort={"anyOf": [_integer(1, maximum=65535), {"type": "null"}]},
            annotations=MAP_OF_STRINGS,
            loadBalancerClass=STRING,
            loadBalancerSourceRanges=STRINGS,
            externalTrafficPolicy={"enum": ["", "Cluster", "Local"]},
            ipFamilyPolicy={"enum": ["", "SingleStack", "PreferDualStack", "RequireDualStack"]},
        ),
        autoscaling=_closed(
            enabled=BOOLEAN,
            minReplicas=_integer(1),
            maxReplicas=_integer(1),
            cpuUtilization={"anyOf": [_integer(1, maximum=100), {"type": "null"}]},
            metrics={
                "type": "array",
                "items": _closed("name", "target", name=NAME, target={"type": "number", "exclusiveMinimum": 0}),
            },
            holdWhileDegraded=BOOLEAN,
            pollingInterval=_integer(1),
            scaleDownStabilizationSeconds=_integer(0, maximum=3600),
            triggers=OBJECTS,
        ),
        updateStrategy=OBJECT,
        minReadySeconds=_integer(0),
    )


def _worker() -> Schema:
    return _closed(
        enabled=BOOLEAN,
        worker={
            "type": "string",
            "description": "badges, reconcile, forward, audit, backfill, or package.module:Class.",
        },
        image=_image(),
        replicas=_integer(0),
        **_component(ConsumersSettings),
        autoscaling=_closed(
            enabled=BOOLEAN,
            minReplicas=_integer(0),
            maxReplicas=_integer(1),
            consumerGroup=STRING,
            lagThreshold=_integer(1),
            activationLagThreshold=_integer(0),
            pollingInterval=_integer(1),
            cooldownPeriod=_integer(0),
            triggers=OBJECTS,
        ),
        strategy=OBJECT,
        publish={"type": "boolean", "description": "Of backfill alone: whether it publishes what is missing."},
        archive=_closed(size=QUANTITY, existingClaim=STRING),
    )


def _component(settings_class: type[Settings]) -> dict[str, Schema]:
    """What pods of the ingress and of workers have in common."""
    probe = {"anyOf": [OBJECT, {"type": "null"}]}
    return {
        **_settings(settings_class),
        "existingSecret": STRING,
        "kafka": _kafka(),
        "serviceAccount": _closed(create=BOOLEAN, name=STRING, annotations=MAP_OF_STRINGS),
        "podDisruptionBudget": _closed(enabled=BOOLEAN, maxUnavailable=COUNT_OR_SHARE),
        "resources": OBJECT,
        "probes": _closed(startup=probe, liveness=probe, readiness=probe),
        "podSecurityContext": OBJECT,
        "securityContext": OBJECT,
        "topologySpreadConstraints": {"anyOf": [OBJECTS, {"type": "null"}]},
        "affinity": OBJECT,
        "nodeSelector": MAP_OF_STRINGS,
        "tolerations": OBJECTS,
        "priorityClassName": STRING,
        "podAnnotations": MAP_OF_STRINGS,
        "podLabels": MAP_OF_STRINGS,
        "extraEnv": {"type": "array", "items": {"type": "object", "required": ["name"]}},
        "extraEnvFrom": OBJECTS,
        "extraVolumes": OBJECTS,
        "extraVolumeMounts": OBJECTS,
    }


def _settings(settings_class: type[Settings]) -> dict[str, Schema]:
    """Each setting by its variable: its value, the Secret that has it, and the object that has the file it names."""
    prefix = settings_class.model_config.get("env_prefix", "")
    properties = settings_class.model_json_schema(mode="validation")["properties"]
    values: dict[str, Schema] = {}
    secrets: dict[str, Schema] = {}
    files: dict[str, Schema] = {}
    for field, schema in properties.items():
        name = f"{prefix}{field}".upper()
        described = {"description": " ".join(schema.get("description", "").split())}
        values[name] = described | _value(schema)
        values[f"{name}_FILE"] = {"type": "string", "description": f"A file with the value of {name}."}
        secrets[name] = described | {"anyOf": [_secret_source(), {"type": "null"}]}
        if "file-path" in json.dumps(schema):
            files[name] = described | {"anyOf": [*_file_sources(), {"type": "null"}]}
    values[f"{prefix}ADMIN_PORT"] |= {"minimum": 1}  # probes need it
    return {"settings": _closed(**values), "secretSettings": _closed(**secrets), "fileSettings": _closed(**files)}


def _value(schema: Schema) -> Schema:
    """What a value may be: of JSON, itself or its text; of a secret anything, for the chart says where that belongs.

    `null` is none, so that one file of values can take away what another one has.
    """
    branches: list[Schema] = [branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"]
    (branch,) = branches
    match branch.get("type"):
        case "object" | "array" as kind:
            return {"type": [kind, "string", "null"]}
        case None:
            return {}
    limits = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    kept = {key: branch[key] for key in limits if key in branch}
    if "enum" in branch:
        kept["enum"] = [*branch["enum"], None]
    return {"type": [branch["type"], "null"], **kept}


def _secret_source() -> Schema:
    return _closed(secret=NAME, key=NAME, value={"type": ["string", "object", "array"]}) | {
        "not": {"required": ["value"], "anyOf": [{"required": ["secret"]}, {"required": ["key"]}]}
    }


def _file_sources() -> list[Schema]:
    return [_closed("secret", "key", secret=NAME, key=NAME), _closed("configMap", "key", configMap=NAME, key=NAME)]


def _kafka() -> Schema:
    properties = BridgeSettings.model_json_schema(mode="validation")["properties"]
    return _closed(
        bootstrapServers=STRING,
        securityProtocol={"enum": properties["kafka_security_protocol"]["enum"]},
        sasl=_closed(
            mechanism={"enum": properties["kafka_sasl_mechanism"]["enum"]},
            username=STRING,
            existingSecret=STRING,
            passwordKey=NAME,
        ),
        tls=_closed(caSecret=STRING, caKey=NAME, certSecret=STRING, certKey=NAME, keyKey=NAME, checkHostname=BOOLEAN),
    )


def _image() -> Schema:
    return _closed(
        repository=NAME,
        tag=STRING,
        digest={"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
        pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    )


def _front() -> Schema:
    host = _closed("host", host=NAME, path={"type": "string", "pattern": "^/"}, pathType={"enum": ["Prefix", "Exact"]})
    return _closed(
        ingress=_closed(
            enabled=BOOLEAN,
            className=STRING,
            annotations=MAP_OF_STRINGS,
            hosts={"type": "array", "items": host},
            tls=OBJECTS,
        )
        | _needs_if_enabled("hosts"),
        httpRoute=_closed(
            enabled=BOOLEAN,
            annotations=MAP_OF_STRINGS,
            parentRefs=OBJECTS,
            hostnames=STRINGS,
            path={"type": "string", "pattern": "^/"},
        )
        | _needs_if_enabled("parentRefs"),
    )


def _monitoring() -> Schema:
    scraping = _closed(
        enabled=BOOLEAN,
        interval=DURATION,
        scrapeTimeout=DURATION,
        relabelings=OBJECTS,
        metricRelabelings=OBJECTS,
    )
    return _closed(
        labels=MAP_OF_STRINGS,
        serviceMonitor=scraping,
        podMonitor=scraping,
        prometheusRule=_closed(enabled=BOOLEAN, labels=MAP_OF_STRINGS, orphanedClaims=BOOLEAN),
        dashboard=_closed(enabled=BOOLEAN, labels=MAP_OF_STRINGS, annotations=MAP_OF_STRINGS),
    )


def _needs_if_enabled(name: str) -> Schema:
    """A list that must have something where the object is enabled."""
    return {
        "if": {"properties": {"enabled": {"const": True}}, "required": ["enabled"]},
        "then": {"properties": {name: {"minItems": 1}}, "required": [name]},
    }


def _integer(minimum: int, description: str = "", *, maximum: int | None = None) -> Schema:
    schema: Schema = {"type": "integer", "minimum": minimum}
    if maximum is not None:
        schema["maximum"] = maximum
    return schema | ({"description": description} if description else {})


def _closed(*required: str, **properties: Schema) -> Schema:
    """An object that has these properties and no others."""
    schema: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return schema | ({"required": list(required)} if required else {})
