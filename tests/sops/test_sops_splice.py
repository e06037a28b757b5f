"""Files that keep their own formatting while they are encrypted: real sops opens them, and the way back gives the same bytes."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from sops_documents import DOCUMENTS, SELECTIONS, encrypted, ours

from agent.sops.files import decrypt
from agent.sops.format.groups import unwrap_data_key
from agent.sops.format.selection import Selection
from agent.sops.stores import named
from agent.values.errors import AgentError, YamlError
from agent.yaml.edit.splice import splice, splice_json
from agent.yaml.matching import same, uncommented
from agent.yaml.read import yaml as sealed
from tests.yaml.messy_yaml import Messy

if TYPE_CHECKING:
    from conftest import Sops

    from agent.yaml.nodes import Mapping, Value

SECRETS = Selection("encrypted_regex", "^(data|stringData)$")
PASSWORDS = Selection("encrypted_regex", "(?i)password|token|secret$")

SECRET = b"""\
# The database of the shop.
---
apiVersion: v1
kind: Secret
metadata:
  name: "shop-db"          # referenced by the Deployment
  namespace: shop
  labels: {app: shop, tier: 'backend'}


type: Opaque
stringData:
  # rotated every quarter
  username: shop
  password: "hunter2"

  url: 'postgres://shop:hunter2@db:5432/shop'
  ca.crt: |
    -----BEGIN CERTIFICATE-----
    MIIBszCCAVmgAwIBAgIUEg==
    -----END CERTIFICATE-----

# --- the second half ---
---
apiVersion: v1
kind: Secret
metadata: {name: shop-api, namespace: shop}
data:
  token: c2VjcmV0   # base64
"""
DEPLOYMENT = b"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  annotations:
    # why this is here
    prometheus.io/scrape: "true"
spec:
  replicas: 3
  selector: {matchLabels: {app: shop}}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
      - name: shop
        image: "registry.example/shop:1.2.3"   # bumped by the release
        args: ["--listen", ":8080", '--verbose']
        env:
        - {name: PASSWORD, value: "hunter2"}
        # the API's
        - name: API_TOKEN
          value: 'tok'

        resources:
          limits:   {cpu: 500m, memory: 256Mi}
          requests: {cpu: 100m, memory: 128Mi}
"""
HELM = b"""\
## @section Global
## @param global.storageClass
##
global:
    storageClass: ""

auth:
    enabled: yes
    rootPassword: "change me"
    # leave empty to make one
    replicationPassword:
    existingSecret: ~

# ports
service: {port: 0x1F90, nodePorts: []}

extra: &defaults
    retries: 3
    timeout: 1_000

workers:
-   name: a
    apiToken: 's3cr3t'
-   name: b
    apiToken: |-
        two
        lines
ingress:
    <<: *defaults
    hosts:
    - shop.example.com
"""
WINDOWS = SECRET.replace(b"\n", b"\r\n")
FILES = {
    "secret": (SECRET, SECRETS),
    "deployment": (DEPLOYMENT, Selection("encrypted_regex", "^value$")),
    "helm values": (HELM, PASSWORDS),
    "line breaks of Windows": (WINDOWS, SECRETS),
    "a byte order mark": (b"\xef\xbb\xbf" + SECRET, SECRETS),
}


def spliced(sops: Sops, data: bytes, selection: Selection) -> bytes:
    return splice(data, encrypted(sops, data, "file.yaml", selection), file="file.yaml").data


def plain_documents(sops: Sops, data: bytes) -> tuple[Mapping, ...]:
    file = decrypt.read(data, file="file.yaml", store=named("yaml"))
    data_key = unwrap_data_key(file.metadata.data_key, sops.keys, file="file.yaml")
    return decrypt.decrypt(file, data_key).documents


@pytest.mark.parametrize(("data", "selection"), FILES.values(), ids=FILES)
def test_only_lines_with_encrypted_values_and_the_metadata_differ(
    sops: Sops, data: bytes, selection: Selection
) -> None:
    before, after = data.splitlines(), spliced(sops, data, selection).splitlines()
    metadata = False
    for line in after:
        metadata = line == b"sops:" or (metadata and line.startswith(b" "))
        assert metadata or b"ENC[" in line or line in before
    assert len([line for line in after if line == b"sops:"]) == len(sealed.parse(data, file="file.yaml"))


@pytest.mark.parametrize(("data", "selection"), FILES.values(), ids=FILES)
def test_sops_opens_it_as_it_opens_its_own_layout(sops: Sops, data: bytes, selection: Selection) -> None:
    text = sops.decrypt(spliced(sops, data, selection), "file.yaml")
    assert sealed.parse(text, file="text.yaml") == sealed.parse(
        sops.decrypt(ours(sops, data, "file.yaml", selection), "file.yaml"), file="text.yaml"
    )


@pytest.mark.parametrize(("data", "selection"), FILES.values(), ids=FILES)
def test_the_way_back_gives_the_same_bytes(sops: Sops, data: bytes, selection: Selection) -> None:
    there = spliced(sops, data, selection)
    assert splice(there, plain_documents(sops, there), file="file.yaml").data == data


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.endswith(".yaml")])
@pytest.mark.parametrize("selection", SELECTIONS, ids=lambda each: f"{each.selector} {each.pattern}")
def test_sops_opens_every_kind_of_document(sops: Sops, name: str, selection: Selection) -> None:
    data = DOCUMENTS[name]
    text = sops.decrypt(splice(data, encrypted(sops, data, name, selection), file=name).data, name)
    wanted = sops.decrypt(ours(sops, data, name, selection), name)
    assert values(text) == values(wanted)


def test_json_keeps_its_spacing_and_opens(sops: Sops) -> None:
    data = b'{\n  "a": {"b": [1, "x"]},   "c": null\n}\n'
    made = splice_json(data, encrypted(sops, data, "file.json", Selection()), file="file.json").data
    assert made.startswith(b'{\n  "a": {"b": ["ENC[')
    assert sops.decrypt(made, "file.json") == sops.decrypt(ours(sops, data, "file.json", Selection()), "file.json")


def test_sops_opens_messy_files_as_it_opens_its_own_layout(sops: Sops) -> None:
    """With every kind of comment, scalar and style; what sops thinks of a comment's place is its own."""
    compared = 0
    for seed in range(40):
        # Text of several lines that begins with a tab is nothing that sops can write.
        data = Messy(Random(seed)).file().replace(b"\\ttab", b"tab")
        try:
            documents = encrypted(sops, data, "file.yaml", Selection())
        except AgentError:
            # No YAML, or no document.
            continue
        text = sops.decrypt(splice(data, documents, file="file.yaml").data, "file.yaml")
        wanted = sops.decrypt(named("yaml").emit(documents), "file.yaml")
        try:
            found = values(text)
        except YamlError:
            # sops writes a map that holds only comments so that it cannot be read.
            continue
        assert all(map(same, found, values(wanted)))
        compared += 1
    assert compared >= 30


def values(text: bytes) -> list[Value]:
    return [uncommented(document) for document in sealed.parse(text, file="text.yaml")]
