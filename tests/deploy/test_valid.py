"""What the chart makes of many values is valid for helm, for Kubernetes, and for whose custom resources it has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache

import pytest

from tests.deploy import rendering
from tests.deploy.rendering import MATRIX, Document, render
from tests.deploy.tools import MODELS, REQUIRED, needed

CUSTOM = ("keda.sh/", "monitoring.coreos.com/", "gateway.networking.k8s.io/")
VERSIONS = ["1.27", "1.31", "1.35"]
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
PORT_NAME_CHARS = 15


@pytest.mark.parametrize("name", MATRIX)
def test_helm_has_nothing_against_it(name: str) -> None:
    linted = rendering.lint(name)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MATRIX)
def test_kubernetes_takes_it(name: str, version: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="make chart-test installs it")
    documents = [one for one in render(name, kubernetes=version) if not one["apiVersion"].startswith(CUSTOM)]
    assert documents
    for document in documents:
        try:
            validate.validate(document, version, strict=True)
        except validate.ValidationError as error:
            pytest.fail(
                f"{document['kind']} {document['metadata']['name']}: {'.'.join(map(str, error.path))}: {error.message}"
            )


def test_the_models_know_the_custom_resources_and_refuse_wrong_ones() -> None:
    documents = [one for name in MATRIX for one in render(name) if one["apiVersion"].startswith(CUSTOM)]
    kinds = {one["kind"] for one in documents}
    assert kinds >= {
        "ScaledObject",
        "TriggerAuthentication",
        "ServiceMonitor",
        "PodMonitor",
        "PrometheusRule",
        "HTTPRoute",
    }
    assert judged(documents) == []
    broken = next(one for one in documents if one["kind"] == "ScaledObject")
    del broken["spec"]["triggers"][0]["type"]
    (told,) = judged([broken])
    assert "type" in told["problem"]
    assert judged([broken | {"kind": "ScaledObjekt"}])[0]["unknown"] == "keda.sh/v1alpha1"


@pytest.mark.parametrize("name", MATRIX)
def test_names_are_short_enough_different_and_in_the_namespace_of_the_release(name: str) -> None:
    documents = render(name, values={"fullnameOverride": "a-name-that-is-much-longer-than-anybody-would-think-of"})
    named = [(one["kind"], one["metadata"]["name"]) for one in documents]
    assert len(set(named)) == len(named)
    for kind, found in named:
        assert NAME.fullmatch(found), found
        # A controller adds up to 11 characters to the names of pods, which are their hosts' names.
        assert len(found) <= (52 if kind in {"StatefulSet", "Deployment"} else 63), found
    assert {one["metadata"]["namespace"] for one in documents} == {rendering.NAMESPACE}


def test_what_selects_pods_selects_those_of_one_component_and_no_others() -> None:
    documents = render("everything")
    pods = {}
    for one in documents:
        if one["kind"] in {"StatefulSet", "Deployment", "Job"}:
            labels = one["spec"]["template"]["metadata"]["labels"]
            pods[one["metadata"]["name"]] = labels
            assert one["kind"] == "Job" or one["spec"]["selector"]["matchLabels"].items() <= labels.items()
    for one in documents:
        selector = {
            "Service": lambda spec: spec["selector"],
            "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
        }.get(one["kind"])
        if selector is not None:
            selected = [name for name, labels in pods.items() if selector(one["spec"]).items() <= labels.items()]
            assert selected == [one["metadata"]["name"].removesuffix("-pods")]


@pytest.mark.parametrize("name", MATRIX)
def test_each_reference_within_the_release_leads_somewhere(name: str) -> None:
    documents = render(name)
    there = {(one["kind"], one["metadata"]["name"]) for one in documents}
    for one in documents:
        if one["kind"] == "ScaledObject":
            target = one["spec"]["scaleTargetRef"]
            assert (target["kind"], target["name"]) in there
            for trigger in one["spec"]["triggers"]:
                reference = trigger.get("authenticationRef")
                assert reference is None or ("TriggerAuthentication", reference["name"]) in there
        if one["kind"] in {"StatefulSet", "Deployment", "Job"}:
            account = one["spec"]["template"]["spec"]["serviceAccountName"]
            assert account == "default" or ("ServiceAccount", account) in there
        if one["kind"] == "StatefulSet":
            assert ("Service", one["spec"]["serviceName"]) in there


def judged(documents: list[Document]) -> list[dict[str, str]]:
    """What the models say against documents."""
    needed(MODELS / "node_modules")
    ended = subprocess.run(
        [_node(), MODELS / "validate.mjs"],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert isinstance(found, list)
    return found


@cache
def _node() -> str:
    node = shutil.which("node")
    assert node is not None, f"node is not here, and {REQUIRED} or {MODELS} says that it was"
    return node
