"""`python -m bench.flux`: what Flux's own kustomize-controller deployed is taken over, and the variables that it reads, beside ours.

1. Flux deploys an overlay with encrypted files and variables. The agent takes it over: pods go on, also when the files are encrypted again,
   and roll once when a value changes.
2. Variables of ConfigMaps and Secrets with values that YAML could take for something else: what Flux makes of each, and what the agent does.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Final

import yaml

from bench.report import Expectation, align
from testbed.controlplane import ControlPlane
from testbed.flux import Flux
from testbed.gitserver import GitServer
from testbed.installation import Installation
from testbed.openbao import OpenBao
from testbed.processes import terminated_as_interrupt

if TYPE_CHECKING:
    from testbed.installation import Tenant

_OVERLAY: Final = """\
resources: [web.yaml, fixed.yaml, login.yaml, settings.yaml]
secretGenerator: [{name: db, files: [db.yaml]}, {name: env, envs: [secret.env]}]
vars: [{name: DB, objref: {apiVersion: v1, kind: Secret, name: db}}]
configurations: [where.yaml]
"""
_WHERE: Final = "varReference: [{path: spec/template/metadata/annotations, kind: Deployment}]\n"
_WEB: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {checksum/secret: $(DB)}}
    spec:
      containers:
      - name: web
        image: registry.example.com/web:${TAG}
        envFrom: [{secretRef: {name: env}}, {secretRef: {name: login}}, {configMapRef: {name: settings}}]
        env:
        - {name: FIXED, valueFrom: {secretKeyRef: {name: fixed, key: password}}}
        - {name: FILE, valueFrom: {secretKeyRef: {name: db, key: db.yaml}}}
"""
VALUES: Final = {
    "word": "word",
    "spaces": "two words",
    "number": "0123",
    "boolean": "true",
    "colon": "a: b",
    "hash": "a # b",
    "quotes": "\"a\" 'b'",
    "star": "*a",
    "braces": "{a}",
    "dollar": "$HOME $$",
    "backslash": "a\\nb",
    "break at its end": "a\n",
    "two lines": "a\nb",
    "empty": "",
    "unicode": "ü €",
}
"""Of variables, each in a field alone and with text around it."""
EQUAL: Final = frozenset({"word", "spaces", "dollar", "backslash", "break at its end", "empty", "unicode"})
"""Those of which Flux makes what the agent makes; of the others it makes something else, or fails, as docs/renderers.md says."""


def _config_map(name: str, **data: str) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def _secret(name: str, **data: str) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})


def _standing(tenant: Tenant) -> dict[str, object]:
    """The pods and ReplicaSets, and what is in every Secret and ConfigMap that was deployed."""
    found: dict[str, object] = {}
    for kind in ("apps/replicasets", "pods"):
        items = tenant.controlplane.get(tenant.path(kind))["items"]
        found[kind] = sorted(f"{each['metadata']['name']} {each['metadata']['uid']}" for each in items)
    for kind in ("secrets", "configmaps"):
        items = tenant.controlplane.get(tenant.path(kind))["items"]
        ours = ("db-", "env-", "fixed", "login", "settings")
        found[kind] = {
            each["metadata"]["name"]: (each.get("type"), each.get("data"))
            for each in items
            if each["metadata"]["name"].startswith(ours)
        }
    web = tenant.get("apps/deployments", "web")
    found["web"] = web["spec"] if web else None
    return found


def taken_over(installation: Installation, flux: Flux) -> list[Expectation]:
    tenant = installation.tenant("flux")
    identity = tenant.create_key()
    tenant.put_secret("flux-age", {"key.agekey": identity})
    tenant.put_secret("vars", {"TOKEN": "t0ken/with+more"})
    metadata = {"name": "more", "namespace": tenant.namespace}
    more = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"TAG": "v2"}}
    _ = tenant.controlplane.apply(more)

    def sealed(password: str) -> dict[str, str]:
        return {
            "prod/kustomization.yaml": _OVERLAY,
            "prod/where.yaml": _WHERE,
            "prod/web.yaml": _WEB,
            "prod/settings.yaml": _config_map("settings", host="${HOST:=example.com}", tag="${TAG}"),
            "prod/fixed.yaml": tenant.seal(_secret("fixed", password=password)),
            "prod/login.yaml": _secret("login", url="https://u:${TOKEN}@h"),
            "prod/db.yaml": tenant.seal(f"password: {password}\n", "--encrypted-regex", "password"),
            "prod/secret.env": tenant.seal(f"PASSWORD={password}\n", file_type="dotenv"),
        }

    sources = [{"kind": "ConfigMap", "name": "more"}, {"kind": "Secret", "name": "vars"}]
    files = sealed("first-password")
    flux.source(tenant.namespace, files)
    decryption = {"provider": "sops", "secretRef": {"name": "flux-age"}}
    failed = flux.deploy(
        tenant.namespace, "apps", "./prod", decryption=decryption, postBuild={"substituteFrom": sources}
    )
    if failed:
        raise RuntimeError(f"Flux did not deploy the overlay: {failed}")
    tenant.controlplane.wait_available(tenant.namespace, "web")
    before = _standing(tenant)
    flux.leave(tenant.namespace, "apps")

    _ = tenant.deploy(files, render={"kustomize": {"path": "prod"}}, substitute={"from": sources})
    after = _standing(tenant)
    rows = [
        Expectation(f"{name} as Flux left them", "equal", _same(before[name], after[name]), before[name] == after[name])
        for name in before
    ]
    _ = tenant.sync(sealed("first-password"))
    _ = tenant.until_ready()
    again = _standing(tenant) == before
    rows.append(Expectation("after the files were encrypted again", "equal", "equal" if again else "other", again))
    _ = tenant.sync(sealed("second-password"))
    _ = tenant.until_ready()
    tenant.controlplane.wait_available(tenant.namespace, "web")
    sets = len(tenant.controlplane.get(tenant.path("apps/replicasets"))["items"])
    rows.append(Expectation("ReplicaSets after a value changed", "2", str(sets), sets == 2))
    tenant.retire()
    return rows


def _same(before: object, after: object) -> str:
    return "equal" if before == after else "other"


def variables(installation: Installation, flux: Flux) -> list[tuple[str, ...]]:
    """Each value, and whether it came from a ConfigMap or a Secret: what Flux made of it, and what the agent made."""
    theirs, ours = installation.tenant("theirs"), installation.tenant("ours")
    names = {f"V{number}": value for number, value in enumerate(VALUES.values())}
    for tenant in (theirs, ours):
        tenant.put_secret("sealed", {f"S{name}": value for name, value in names.items()})
        metadata = {"name": "clear", "namespace": tenant.namespace}
        data = {f"C{name}": value for name, value in names.items()}
        _ = tenant.controlplane.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    sources = [{"kind": "ConfigMap", "name": "clear"}, {"kind": "Secret", "name": "sealed"}]
    files: dict[str, str] = {}
    for name in names:
        for kind, given in (("c", f"C{name}"), ("s", f"S{name}")):
            for way, text in (("alone", f"${{{given}}}"), ("within", f"x ${{{given}}} y")):
                key = f"{kind}-{name.lower()}-{way}"
                files[f"odd/{key}/o.yaml"] = _secret(key, v=text)
    flux.source(theirs.namespace, files)
    _ = ours.deploy(files, source=ours.source("odd"), substitute={"from": sources})
    rows: list[tuple[str, ...]] = []
    for name, (title, value) in zip(names, VALUES.items(), strict=True):
        for kind, source in (("c", "ConfigMap"), ("s", "Secret")):
            for way in ("alone", "within"):
                key = f"{kind}-{name.lower()}-{way}"
                failed = flux.deploy(theirs.namespace, key, f"./odd/{key}", postBuild={"substituteFrom": sources})
                made = "fails" if failed else _value(theirs, key)
                mine = _value(ours, key)
                rows.append((title, source, way, json.dumps(value), made, mine, "equal" if made == mine else "other"))
    return rows


def _value(tenant: Tenant, name: str) -> str:
    data = (tenant.get("secrets", name) or {}).get("data", {})
    return json.dumps(base64.b64decode(data["v"]).decode()) if "v" in data else "nothing"


def main() -> int:
    with (
        terminated_as_interrupt(),
        ControlPlane() as controlplane,
        GitServer() as gitserver,
        OpenBao() as openbao,
        Installation(controlplane, gitserver, openbao) as installation,
        Flux(controlplane) as flux,
    ):
        installation.start()
        expectations = taken_over(installation, flux)
        rows = variables(installation, flux)
    print(align([("value", "from", "field", "is", "Flux", "Signet", ""), *rows]))
    differ = {title for title, *_, verdict in rows if verdict == "other"}
    expectations.append(
        Expectation(
            "values of which Flux makes something else",
            str(len(VALUES) - len(EQUAL)),
            str(len(differ)),
            differ == VALUES.keys() - EQUAL,
        )
    )
    print(align([(each.name, each.wanted, each.found, "met" if each.met else "NOT MET") for each in expectations]))
    return 0 if all(each.met for each in expectations) else 1


if __name__ == "__main__":
    sys.exit(main())
