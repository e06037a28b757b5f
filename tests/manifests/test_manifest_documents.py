import json

import pytest
from written import files, parsed

from agent.manifests import documents
from agent.values.errors import LimitError, ManifestError, SopsFormatError, UnsupportedManifestError, YamlError

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def test_documents_come_in_order_with_their_lines():
    found = parsed({"a.yaml": CONFIG + "---\n# nothing\n---\n" + CONFIG.replace("name: a", "name: b")})
    assert [(d.file, d.line, d.tree["metadata"]["name"]) for d in found.documents] == [
        ("a.yaml", 1, "a"),
        ("a.yaml", 7, "b"),
    ]
    assert all(document.error is None for document in found.documents)


def test_empty_files_and_documents_are_nothing():
    found = parsed({"empty.yaml": "", "comment.yaml": "# only this\n", "null.yaml": "---\nnull\n---\n"})
    assert found == documents.Parsed((), {}, ())


@pytest.mark.parametrize("file", ["a.json", "a.yaml"])
def test_json_objects_in_one_file_are_all_declared(file):
    one = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NAME"}}\n'
    found = parsed({file: one.replace("NAME", "a") + one.replace("NAME", "b")})
    assert [(d.line, d.tree["metadata"]["name"]) for d in found.documents] == [(1, "a"), (2, "b")]


def test_lists_are_expanded_also_nested_ones():
    found = parsed(
        {
            "a.yaml": """
            apiVersion: v1
            kind: List
            items:
            - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
            - apiVersion: v1
              kind: ConfigMapList
              items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}, null]
            """
        }
    )
    assert [d.tree["metadata"]["name"] for d in found.documents] == ["a", "b"]


def test_items_of_a_typed_list_are_of_its_kind_unless_they_say_another():
    found = parsed(
        {
            "a.yaml": """
            apiVersion: v1
            kind: SecretList
            items:
            - {metadata: {name: a}, stringData: {password: x}}
            - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}
            """
        }
    )
    assert [(d.tree["apiVersion"], d.tree["kind"]) for d in found.documents] == [("v1", "Secret"), ("v1", "ConfigMap")]
    assert [d.plaintext for d in found.documents] == ["stringData.password", ""]


@pytest.mark.parametrize(
    "path", ["base/kustomization.yaml", "kustomization.yml", "chart/Chart.yaml", "a/Kustomization"]
)
def test_files_of_renderers_are_refused(path):
    (failure,) = parsed({path: "resources: [a.yaml]\n"}).failures
    assert isinstance(failure.error, UnsupportedManifestError)
    assert failure.error.facts["file"] == path


def test_a_file_that_does_not_parse_fails_alone():
    found = parsed({"bad.yaml": "a: [", "good.yaml": CONFIG})
    assert [(f.file, type(f.error)) for f in found.failures] == [("bad.yaml", YamlError)]
    assert [d.file for d in found.documents] == ["good.yaml"]


@pytest.mark.parametrize(
    ("text", "error", "field"),
    [
        ("[1, 2]", ManifestError, None),
        ("just text", ManifestError, None),
        ("kind: ConfigMap\nmetadata: {name: a}", ManifestError, "apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}", ManifestError, "kind"),
        ("apiVersion: v1\nkind: ConfigMap", ManifestError, "metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: text", ManifestError, "metadata"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 12}", ManifestError, "metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ''}", ManifestError, "metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ../../secrets/x}", ManifestError, "metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: x/y}", ManifestError, "metadata.namespace"),
        ("apiVersion: ../v1\nkind: ConfigMap\nmetadata: {name: a}", ManifestError, "apiVersion"),
        ("apiVersion: v1\nkind: 'Config Map'\nmetadata: {name: a}", ManifestError, "kind"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}", UnsupportedManifestError, "metadata.generateName"),
        (
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nmetadata: {name: a}",
            UnsupportedManifestError,
            None,
        ),
    ],
)
def test_a_bad_document_fails_alone_with_file_and_line(text, error, field):
    found = parsed({"a.yaml": f"{CONFIG}---\n{text}\n"})
    good, bad = found.documents
    assert good.error is None
    assert type(bad.error) is error
    assert bad.error.facts["file"] == "a.yaml"
    assert bad.error.facts["line"] == 5
    assert bad.error.facts.get("field") == field


ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: {}\nmetadata: {{name: {}}}\n"
NAMES = ["*", "my role", "_x", ":x", "x:", "-x", ".x", "é", "a?b#c", 'a"b', "app:node", " ", "x" * 254]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_rbac_are_what_the_api_server_takes(controlplane, name):
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        (document,) = parsed({"a.yaml": ROLE.format(kind, json.dumps(name, ensure_ascii=False))}).documents
        assert document.error is None
        assert documents.identity_of(document.tree) == ("rbac.authorization.k8s.io", kind, "", name)
    (other,) = parsed({"a.yaml": CONFIG.replace("name: a", f"name: {json.dumps(name)}")}).documents
    assert (other.error is None) == (name == "app:node")
    manifest = json.dumps(parsed({"a.yaml": ROLE.format("ClusterRole", json.dumps(name))}).documents[0].tree)
    controlplane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=manifest)


@pytest.mark.parametrize("name", [".", "..", "a/b", "a%b", "", "a\nb", "\u202e", "x" * 1001])
def test_other_names_of_rbac_are_refused(name):
    (document,) = parsed({"a.yaml": ROLE.format("ClusterRole", json.dumps(name))}).documents
    assert document.error.facts["field"] == "metadata.name"
    assert documents.identity_of(document.tree) is None


NAMED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("", "ConfigMap", "shop", "a")),
        ({"metadata": {"name": "a"}}, ("", "ConfigMap", "", "a")),
        ({"metadata": {"name": "a", "namespace": None}}, ("", "ConfigMap", "", "a")),
        ({"apiVersion": "apps/v1", "kind": "Deployment"}, ("apps", "Deployment", "shop", "a")),
        ({"apiVersion": 1}, None),
        ({"apiVersion": "a b"}, None),
        ({"kind": 1}, None),
        ({"kind": "config map"}, None),
        ({"metadata": {"name": 1, "namespace": "shop"}}, None),
        ({"metadata": {"name": "a b", "namespace": "shop"}}, None),
        ({"metadata": {"name": "a", "namespace": 1}}, None),
        ({"metadata": {"name": "a", "namespace": "Shop"}}, None),
        ({"metadata": "a"}, None),
    ],
)
def test_the_identity_of_a_document_is_well_formed_as_a_whole(changed, expected):
    assert documents.identity_of({**NAMED, **changed}) == expected


def test_a_leftover_ciphertext_fails_its_document_only():
    text = CONFIG + "---\n" + CONFIG + "data: {k: 'x ENC[AES256_GCM,data:aa,iv:aa,tag:aa,type:str]'}\n"
    good, bad = parsed({"a.yaml": text}).documents
    assert good.error is None
    assert isinstance(bad.error, ManifestError)
    assert bad.error.facts["field"] == "data.k"


def test_sops_metadata_that_does_not_read_fails_the_file_and_names_its_objects():
    found = parsed({"a.yaml": CONFIG + "data: {k: v}\nsops: {version: nonsense, mac: 1}\n"})
    (failure,) = found.failures
    assert isinstance(failure.error, SopsFormatError)
    assert failure.identities == {("", "ConfigMap", "", "a")}


def test_nesting_beyond_the_limit_is_an_error():
    (failure,) = parsed({"a.yaml": CONFIG + "data: " + "[" * 5000 + "]" * 5000}).failures
    assert isinstance(failure.error, LimitError | YamlError)


def test_one_file_parsed_alone_gives_what_it_gives_among_others():
    given = files({"a.yaml": CONFIG, "b.yaml": "a: ["}, {"c.yaml": CONFIG})
    assert (
        documents.collect((f.path, documents.parse_file(f)) for f in given).documents
        == documents.parse(given).documents
    )


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00", b"\x00", b"---\n" * 1000, b"&a [*a]", b"a: !!python/object:os.system x"]
)
def test_hostile_bytes_end_in_an_error_or_nothing(data):
    found = documents.parse([documents.File("a.yaml", "x", data, 0)])
    assert all(d.error is not None for d in found.documents)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", [b"\n", b" ", b",", b"{", b"sops", b"sops:\n", b"- \n", b"---\n", b"#\n"])
def test_large_files_of_nothing_end_in_time(part):
    data = part * (500_000 // len(part))
    documents.parse([documents.File("a.yaml", "x", data, 0), documents.File("a.json", "x", data, 0)])
