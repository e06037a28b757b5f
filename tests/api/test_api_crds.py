"""The generated CRD on a real API server: what it takes and refuses, and how it is shown."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from agent.api import application, crd, names
from agent.api.status import ApplicationStatus, Condition, Counts, Failure, SyncRecord
from agent.values.errors import ManifestError
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parents[2]


def collection(namespace: str) -> str:
    return f"/apis/{names.API_VERSION}/namespaces/{namespace}/{names.PLURAL}"


def manifest(name: str, **spec):
    source = {"url": "https://git.example.com/shop.git", "revision": {"branch": "main"}, **spec.pop("source", {})}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {"source": source, **spec},
    }


def test_server_accepts_the_definition_as_structural(installed: ControlPlane):
    conditions = installed.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{names.CRD_NAME}")["status"][
        "conditions"
    ]
    states = {condition["type"]: condition["status"] for condition in conditions}
    assert states["Established"] == "True"
    assert states.get("NonStructuralSchema", "False") == "False"
    assert states["NamesAccepted"] == "True"


def test_server_adds_nothing_that_an_agent_of_another_version_would_not_know(installed: ControlPlane, namespace: str):
    written = manifest("defaults")
    status, answer = installed.request("POST", collection(namespace), written)
    assert status == 201
    assert answer["spec"] == written["spec"]
    assert application.parse(answer).spec.interval == 300


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"revision": {}}},
        {"source": {"revision": {"branch": "main", "commit": "a" * 40}}},
        {"source": {"revision": {"branch": "-x"}}},
        {"source": {"revision": {"commit": "abc"}}},
        {"source": {"url": "https://user:password@git.example.com/x"}},
        {"source": {"url": "ssh://git.example.com/x"}},
        {"source": {"layers": []}},
        {"source": {"layers": ["/etc"]}},
        {"source": {"layers": ["a/../../b"]}},
        {"source": {"layers": [".."]}},
        {"source": {"credentials": {}}},
        {"source": {"oci": {"url": "oci://ghcr.io/shop/deploy", "tag": "v1"}}},
        {"source": {"url": None, "revision": None}},
        {"source": {"revision": None}},
        *(
            {"source": {"url": None, "revision": None, "oci": {"url": "oci://ghcr.io/shop/deploy", "tag": "v1", **oci}}}
            for oci in (
                {"semver": "1.x"},
                {"tag": None},
                {"tag": "-x"},
                {"tag": None, "semver": "latest"},
                {"tag": None, "digest": "sha256:0"},
                {"url": "https://ghcr.io/shop/deploy"},
                {"url": "oci://user@ghcr.io/shop"},
                {"url": "oci://ghcr.io/shop/deploy:v1"},
                {"url": "oci://ghcr.io/../etc"},
                {"url": "oci://ghcr.io"},
            )
        ),
        {
            "source": {
                "url": None,
                "revision": None,
                "oci": {"url": "oci://ghcr.io/shop/deploy", "tag": "v1"},
                "credentials": {"secretName": "registry"},
            }
        },
        {"interval": "9s"},
        {"interval": "5 minutes"},
        {"interval": 300},
        {"sync": {"mode": "both"}},
        {"prune": "yes"},
        {"deletionPolicy": "keep"},
        {"secrets": {"allow": ["Env", "Env"]}},
        {"secrets": {"allow": ["Image"]}},
        {"destination": {"namespace": "UPPER"}},
    ],
)
def test_server_and_agent_refuse_the_same(installed: ControlPlane, namespace: str, change):
    written = manifest("refused", **change)
    status, _ = installed.request("POST", collection(namespace), written)
    assert status == 422
    written["metadata"]["namespace"] = namespace
    with pytest.raises(ManifestError):
        application.parse(written)


def test_kubectl_shows_the_commits_the_age_and_the_message(installed: ControlPlane, namespace: str):
    installed.request("POST", collection(namespace), manifest("shown"))
    ready = {"type": "Ready", "status": "False", "reason": "Failed", "message": "one object is held"}
    status = {
        "revision": "main@0123456789ab",
        "checkedRevision": "main@ba9876543210",
        "conditions": [{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
    installed.kubectl(
        *("patch", "sgapp", "shown", "-n", namespace, "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": status})),
    )
    for name in ("sgapp", names.CRD_NAME):
        header, row = installed.kubectl("get", name, "-n", namespace).splitlines()
        assert header.split() == ["NAME", "READY", "HEALTHY", "CHECKED", "REVISION", "AGE", "MESSAGE"]
        shown = dict(
            zip(("NAME", "READY", "CHECKED", "REVISION", "AGE", "MESSAGE"), re.split(" {2,}", row), strict=True)
        )
        assert re.fullmatch("[0-9]+m?s", shown.pop("AGE"))
        assert shown == {
            "NAME": "shown",
            "READY": "False",
            "CHECKED": "main@ba9876543210",
            "REVISION": "main@0123456789ab",
            "MESSAGE": "one object is held",
        }


@pytest.mark.parametrize(
    "url",
    [
        "ssh://git:s3cr3t@git.example.com:2222/shop",
        "git:s3cr3t@git.example.com:shop",
        "ssh://git.example.com/shop",
        "ssh://-oProxyCommand=id@git.example.com/shop",
        "git@-oProxyCommand=id:shop",
        "git@git.example.com:-oProxyCommand=id",
        "git@git.example.com://shop",
        "git+ssh://git@git.example.com/shop",
        "git://git.example.com/shop",
        "file:///srv/shop.git",
        "https://user:s3cr3t@git.example.com/shop",
        "git.example.com/shop",
    ],
)
def test_an_address_that_is_not_taken_is_answered_in_words(installed: ControlPlane, namespace: str, url: str):
    message = "must be https://host/path, ssh://user@host/path or user@host:path, without password"
    status, answer = installed.request("POST", collection(namespace), manifest("ssh", source={"url": url}))
    assert status == 422
    assert message in answer["message"]
    assert "A-Za-z0-9" not in answer["message"]
    with pytest.raises(ManifestError) as caught:
        application.parse({**manifest("ssh", source={"url": url}), "metadata": {"name": "ssh", "namespace": namespace}})
    assert message in str(caught.value)
    assert "docs/reference" not in caught.value.hint
    assert url not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "git@github.com:shop/deploy.git",
        "git@git.example.com:/shop/deploy",
        "ssh://git@git.example.com:2222/~shop/deploy.git",
        "git@ssh.dev.azure.com:v3/shop/a%20b/deploy",
        "ssh://git@[::1]:2222/shop",
    ],
)
def test_an_address_over_ssh_is_taken(installed: ControlPlane, namespace: str, url: str):
    written = manifest("ssh", source={"url": url})
    status, answer = installed.request("POST", collection(namespace), written)
    assert status == 201
    assert application.parse(answer).spec.source.url == url


@pytest.mark.parametrize(
    "oci",
    [
        {"url": "oci://ghcr.io/shop/deploy", "tag": "v1", "credentials": {"secretName": "registry"}},
        {"url": "oci://registry.example.com:5000/a/b_c/d-e.f", "semver": ">=1.2.0 <2.0.0 || ~3.1"},
        {"url": "oci://[::1]:5000/a", "digest": f"sha256:{'0' * 64}"},
    ],
)
def test_an_artifact_is_taken_in_the_place_of_a_repository(installed: ControlPlane, namespace: str, oci: object):
    written = manifest("artifact", source={"url": None, "revision": None, "oci": oci})
    status, answer = installed.request("POST", collection(namespace), written)
    assert status == 201
    source = application.parse(answer).spec.source
    assert source.oci is not None
    assert (source.address, source.ref) == (source.oci.url, source.oci.ref)


def test_unknown_field_is_refused_where_the_client_asks(installed: ControlPlane, namespace: str):
    status, answer = installed.request(
        "POST", collection(namespace) + "?fieldValidation=Strict", manifest("unknown", pruned=True)
    )
    assert status == 400
    assert "pruned" in str(answer)


def test_status_is_a_subresource_that_takes_what_the_agent_writes(installed: ControlPlane, namespace: str):
    installed.request("POST", collection(namespace), manifest("status"))
    time = "2026-01-01T00:00:00Z"
    written = ApplicationStatus(
        observed_generation=1,
        revision="main@0123456789ab",
        conditions=(
            Condition(type="Ready", status="True", reason="Applied", last_transition_time=time, observed_generation=1),
            Condition(type="Healthy", status="Unknown", reason="Progressing", last_transition_time=time),
        ),
        counts=Counts(total=3, applied=3),
        failures=(Failure(reason="SopsFormat", message="metadata is malformed"),),
        history=(
            SyncRecord(
                revision="main@0123456789ab", started_at=time, finished_at=time, result="succeeded", cause="git"
            ),
        ),
    ).tree()
    path = f"{collection(namespace)}/status"
    status, answer = installed.request(
        "PATCH",
        f"{path}/status?fieldManager=signet&force=true&fieldValidation=Strict",
        {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "status"}, "status": written},
        content_type="application/apply-patch+yaml",
    )
    assert status == 200
    assert answer["status"] == written
    installed.kubectl("wait", "--for=condition=Ready", "sgapp/status", "-n", namespace, "--timeout=5s")
    table = installed.kubectl("get", "sgapp", "status", "-n", namespace, "-o", "wide")
    header, row = table.splitlines()
    assert header.split() == ["NAME", "READY", "HEALTHY", "DRIFTED", "CHECKED", "REVISION", "AGE", "MESSAGE"]
    assert row.split()[:4] == ["status", "True", "Unknown", "main@0123456789ab"]


def test_explain_teaches(installed: ControlPlane):
    text = wait_until(
        lambda: re.sub(r"\s+", " ", installed.kubectl("explain", "applications.spec.source.layers", check=False)),
        30,
        "explain",
    )
    assert "an object of a later layer is merged onto" in text


def test_agent_crds_prints_the_definition():
    for output, load in (("yaml", yaml.safe_load), ("json", yaml.safe_load)):
        result = subprocess.run(
            [sys.executable, "-m", "agent.cli.main", "crds", "-o", output], capture_output=True, text=True, check=True
        )
        assert load(result.stdout) == crd.definition()


@pytest.mark.parametrize("name", ["application", "operator"])
def test_agent_crds_prints_schemas_for_editors(name: str):
    result = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", "crds", "--schema", name], capture_output=True, text=True, check=True
    )
    assert yaml.safe_load(result.stdout) == yaml.safe_load((ROOT / f"docs/reference/{name}.schema.json").read_text())
