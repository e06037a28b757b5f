"""`agent migrate sealed-secrets`: what kubeseal sealed becomes what sops opens, and nothing else changes."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.yaml.read import manifests
from testbed import sealing

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Result, Shell

    from testbed.sealing import SealingPair

PASSWORD, TEXT, RAW = "canary-hunter2", "canary line 1\n  canary: line 2\n", b"canary-\x00\xff\xfe"
CANARIES = ("canary", base64.b64encode(PASSWORD.encode()).decode(), base64.b64encode(RAW).decode())
CONFIG_MAP = """\
# not ours
apiVersion: v1
kind:   ConfigMap
metadata: {name: other}
data: {"mode": 'fast'}
"""


def plain(name: str = "db", namespace: str | None = "shop", **more: object) -> str:
    metadata = {"name": name, "labels": {"team": "a"}, "annotations": {"note": "kept"}}
    if namespace is not None:
        metadata["namespace"] = namespace
    data = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "example.com/kind",
        "immutable": True,
        "stringData": {"password": PASSWORD, "text": TEXT, "empty": "", "number": "0123"},
        "data": {"raw": base64.b64encode(RAW).decode()},
    }
    return json.dumps({**data, **more})


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> SealingPair:
    return sealing.pair(tmp_path_factory.mktemp("sealing"), "current")


class Repository:
    """A folder with SealedSecrets, the controller's key outside of it, and a `.sops.yaml`."""

    def __init__(self, shell: Shell, pair: SealingPair, kubeseal: Path) -> None:
        self.shell = shell
        self.pair = pair
        self.kubeseal = kubeseal
        shell.write(".sops.yaml", f"creation_rules:\n  - age: {shell.recipient}\n")
        self.key = str(shell.write("../keys.yaml", json.dumps(pair.manifest)))

    def seal(self, manifest: str, *flags: str) -> str:
        return self.pair.seal(manifest, *flags, program=self.kubeseal)

    def migrate(self, *arguments: str, stdin: bytes = b"") -> Result:
        result = self.shell.agent("migrate", "sealed-secrets", "--sealing-key", self.key, *arguments, stdin=stdin)
        told = result.out.decode() + result.err
        assert not [canary for canary in CANARIES if canary in told]
        for path in self.shell.folder.rglob("*"):
            if path.is_file():
                assert not [canary for canary in CANARIES if canary.encode() in path.read_bytes()], path
        return result

    def files(self) -> dict[str, str]:
        root = self.shell.folder
        found = sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".sops.yaml")
        return {str(path.relative_to(root)): path.read_text() for path in found}

    def secrets(self, name: str) -> list[dict[str, object]]:
        """What sops opens, with all values in `data`."""
        done = self.shell.sops("decrypt", name)
        assert done.code == 0, done.err
        trees = [document.tree for document in manifests.parse(done.out, file=name)]
        return [merged(tree) for tree in trees if isinstance(tree, dict)]


def merged(tree: object) -> dict[str, object]:
    """A Secret as the API server keeps it."""
    assert isinstance(tree, dict)
    texts = {key: base64.b64encode(text.encode()).decode() for key, text in (tree.get("stringData") or {}).items()}
    rest = {key: value for key, value in tree.items() if key not in {"stringData", "data"}}
    return {**rest, "data": {key: value or "" for key, value in {**(tree.get("data") or {}), **texts}.items()}}


@pytest.fixture
def repository(shell: Shell, pair: SealingPair, kubeseal: Path) -> Repository:
    return Repository(shell, pair, kubeseal)


@pytest.mark.parametrize("scope", ["strict", "namespace-wide", "cluster-wide"])
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_sops_opens_what_kubeseal_would_recover(repository: Repository, scope: str, form: str) -> None:
    sealed = repository.seal(plain(), "--scope", scope, "-o", form)
    expected = repository.pair.recover(sealed, program=repository.kubeseal)
    repository.shell.write(f"db.{form}", sealed)

    result = repository.migrate("-i", ".")

    assert result.code == 0, result.err
    assert b"Secret shop/db" in result.out
    assert b"keys.yaml#current" in result.out
    [secret] = repository.secrets(f"db.{form}")
    metadata = expected["metadata"]
    assert isinstance(metadata, dict)
    # What only a server writes: the owner is the SealedSecret that is gone.
    expected["metadata"] = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations")}
    assert secret == merged(expected)
    shown = repository.files()[f"db.{form}"]
    assert "example.com/kind" in shown
    assert "team" in shown
    assert shown.count("ENC[AES256_GCM,data:") == 5  # four values that are not empty, and the MAC


KEYS = st.from_regex(r"[-._a-zA-Z0-9]{1,20}", fullmatch=True).filter(lambda key: key not in {".", ".."})
NASTY = (
    *("", " ", "null", "~", "yes", "0x10", "1e3", "2024-01-02", "---", "- a", "#x", "a: b", "'", '"', "<<", "😀"),
    *("\n", "\r\n", "\tx", "\x00", "\x1b[2J", "\x85", "\u2028", "\ufeff", "\ufffe", "x\n\n", "  x\n y\n"),
    *("ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]", "vault://main/secret/a#b", "${vault://main/secret/a#b}"),
)
VALUES = st.one_of(st.sampled_from(NASTY).map(str.encode), st.text(max_size=40).map(str.encode), st.binary(max_size=40))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.dictionaries(KEYS, VALUES, max_size=12))
def test_every_value_is_the_same_bytes_afterwards(repository: Repository, data: dict[str, bytes]) -> None:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    sealed = repository.seal(plain(stringData={}, data=encoded), "--allow-empty-data")
    repository.shell.write("db.yaml", sealed)
    result = repository.migrate("-i", "db.yaml")
    assert result.code == 0, result.err
    [secret] = repository.secrets("db.yaml")
    assert secret["data"] == encoded


def test_what_is_text_can_be_edited_as_text(repository: Repository) -> None:
    repository.shell.write("db.yaml", repository.seal(plain()))
    repository.migrate("-i", "db.yaml")
    opened = repository.shell.sops("decrypt", "--extract", '["stringData"]["text"]', "db.yaml")
    assert opened.out.decode() == TEXT
    assert repository.shell.sops("decrypt", "--extract", '["data"]["raw"]', "db.yaml").out == base64.b64encode(RAW)


def test_what_the_agent_would_read_as_a_reference_stays_the_text_that_it_is(repository: Repository) -> None:
    text = "vault://main/secret/shop#password"
    repository.shell.write("db.yaml", repository.seal(plain(stringData={"address": text}, data={})))
    assert repository.migrate("-i", "db.yaml").code == 0
    [secret] = repository.secrets("db.yaml")
    assert secret["data"] == {"address": base64.b64encode(text.encode()).decode()}
    opened = repository.shell.sops("decrypt", "--extract", '["data"]["address"]', "db.yaml")
    assert opened.code == 0


def test_a_second_run_changes_nothing(repository: Repository) -> None:
    repository.shell.write("apps/db.yaml", repository.seal(plain()))
    repository.shell.write("apps/other.yaml", CONFIG_MAP)
    assert repository.migrate("-i", ".").code == 0
    before = repository.files()

    again = repository.migrate("-i", ".")

    assert (again.code, again.out) == (0, b"")
    assert "no SealedSecret found" in again.err
    assert repository.files() == before
    assert before["apps/other.yaml"] == CONFIG_MAP


def test_other_documents_of_a_file_stay_byte_for_byte(repository: Repository) -> None:
    sealed = "# the shop's database\n" + repository.seal(plain()).removeprefix("---\n")
    two = repository.seal(plain("cache")).removeprefix("---\n")
    repository.shell.write("all.yaml", f"{CONFIG_MAP}---\n{sealed}--- # then\n{CONFIG_MAP}---\n{two}")

    result = repository.migrate("-i", "all.yaml")

    assert result.code == 0, result.err
    assert "all.yaml: its other documents are left as they are" in result.err
    files = repository.files()
    assert files["all.yaml"] == f"{CONFIG_MAP}--- # then\n{CONFIG_MAP}"
    assert files["all.secrets.yaml"].startswith("# the shop's database\n")
    assert [each["metadata"]["name"] for each in repository.secrets("all.secrets.yaml")] == ["db", "cache"]


def test_files_beside_are_not_overwritten_without_a_word(repository: Repository) -> None:
    sealed = repository.seal(plain())
    repository.shell.write("all.yaml", f"{CONFIG_MAP}{sealed}")
    repository.shell.write("all.secrets.yaml", "mine: 1\n")
    result = repository.migrate("-i", "all.yaml")
    assert result.code == 1
    assert "the file exists already" in result.err
    assert repository.files() == {"all.yaml": f"{CONFIG_MAP}{sealed}", "all.secrets.yaml": "mine: 1\n"}
    assert repository.migrate("-i", "--overwrite", "all.yaml").code == 0
    assert [each["kind"] for each in repository.secrets("all.secrets.yaml")] == ["Secret"]


def test_another_folder_takes_the_results_once(repository: Repository) -> None:
    sealed = repository.seal(plain())
    repository.shell.write("in/a/db.yaml", sealed)
    assert repository.migrate("--output-dir", "out", "in").code == 0
    files = repository.files()
    assert files["in/a/db.yaml"] == sealed
    assert [each["kind"] for each in repository.secrets("out/a/db.yaml")] == ["Secret"]

    kept = repository.migrate("--output-dir", "out", "in")

    assert kept.code == 0
    assert b"kept: the file exists" in kept.out
    assert repository.files() == files
    assert repository.migrate("--output-dir", "out", "--overwrite", "in").code == 0
    assert repository.files() != files


def test_one_file_goes_to_standard_output(repository: Repository) -> None:
    sealed = repository.seal(plain())
    repository.shell.write("db.yaml", sealed)
    result = repository.migrate("db.yaml")
    assert result.code == 0
    assert "Secret shop/db: opened by" in result.err
    assert repository.files() == {"db.yaml": sealed}
    repository.shell.write("out.yaml", result.out)
    assert [each["kind"] for each in repository.secrets("out.yaml")] == ["Secret"]
    several = repository.migrate(".")
    assert several.code == 2
    assert "several files cannot go to standard output" in several.err


def test_a_dry_run_writes_nothing(repository: Repository) -> None:
    repository.shell.write("db.yaml", repository.seal(plain()))
    repository.shell.write("bad.yaml", repository.seal(plain("bad")).replace("name: bad", "name: worse", 1))
    before = repository.files()
    for where in (("-i",), ("--output-dir", "out")):
        result = repository.migrate("--dry-run", *where, ".")
        assert result.code == 1
        assert b"would be migrated" in result.out
        assert repository.files() == before


def test_failures_are_told_at_the_end_and_stop_nothing_else(repository: Repository) -> None:
    good = repository.seal(plain("good"))
    other = sealing.pair(repository.pair.folder, "other")
    template = repository.seal(plain("template")).replace(
        "  template:\n", "  template:\n    data: {url: 'x{{ .password }}'}\n"
    )
    broken = {
        "altered.yaml": repository.seal(plain("altered")).replace("name: altered", "name: renamed", 1),
        "otherkey.yaml": other.seal(plain("otherkey"), program=repository.kubeseal),
        "template.yaml": template,
        "old.yaml": "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: old, namespace: shop}\nspec: {data: AgAA}\n",
        "both.yaml": f"{repository.seal(plain('one'))}{repository.seal(plain('two')).replace('name: two', 'name: zwei', 1)}",
        "list.yaml": json.dumps(
            {"kind": "List", "items": [{"kind": "ConfigMap"}, manifest(repository.seal(plain("item")))]}
        ),
        "unnamed.yaml": good.replace("name: good", "name: ''"),
        "nowhere.yaml": good.replace("  namespace: shop\n", "", 1),
        "notyaml.yaml": "kind: SealedSecret\n a: [\n",
    }
    for name, text in {**broken, "good.yaml": good}.items():
        repository.shell.write(name, text)

    result = repository.migrate("-i", ".")

    assert result.code == 1
    assert repository.files() == {**repository.files(), **broken}
    assert [each["kind"] for each in repository.secrets("good.yaml")] == ["Secret"]
    for file, message in {
        "altered.yaml": "no sealing key opens a value",
        "otherkey.yaml": "no sealing key opens a value",
        "template.yaml": "a Go template over the values is not rendered",
        "old.yaml": "spec.data has the old format, which sealed-secrets no longer writes",
        "both.yaml": "SealedSecret.bitnami.com shop/zwei",
        "list.yaml": "a List holds SealedSecrets among other objects",
        "unnamed.yaml": "a SealedSecret has no well-formed name",
        "nowhere.yaml": "the SealedSecret has no namespace, and its values are bound to one",
        "notyaml.yaml": "notyaml.yaml:2",
    }.items():
        assert any(file in line and message in line for line in result.err.splitlines()), (file, result.err)
    rows = result.out.decode().splitlines()
    assert any("good.yaml" in row and "migrated" in row for row in rows)
    assert any("Secret shop/one" in row and "not migrated" in row for row in rows)
    assert any("renamed" in row and "failed" in row for row in rows)


def manifest(sealed: str) -> object:
    return manifests.parse(sealed.encode(), file="")[0].tree


def test_a_list_of_sealed_secrets_is_migrated_whole(repository: Repository) -> None:
    items = [manifest(repository.seal(plain(name))) for name in ("one", "two")]
    for name in ("list.yaml", "list.json"):
        repository.shell.write(name, json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    assert repository.migrate("-i", ".").code == 0
    assert [each["metadata"]["name"] for each in repository.secrets("list.yaml")] == ["one", "two"]
    opened = json.loads(repository.shell.sops("decrypt", "list.json").out)
    assert [merged(each)["data"]["number"] for each in opened["items"]] == ["MDEyMw==", "MDEyMw=="]


def test_the_namespace_may_be_said_on_the_command_line(repository: Repository) -> None:
    sealed = repository.seal(plain())
    repository.shell.write("db.yaml", sealed.replace("  namespace: shop\n", "", 1))
    assert repository.migrate("-i", "db.yaml").code == 1
    assert repository.migrate("-i", "-n", "shop", "db.yaml").code == 0
    [secret] = repository.secrets("db.yaml")
    assert "namespace" not in secret["metadata"]


def test_texts_of_the_template_without_an_action_are_taken_as_they_are(repository: Repository) -> None:
    sealed = repository.seal(plain()).replace(
        "  template:\n", "  template:\n    data: {mode: fast, number: replaced}\n"
    )
    expected = repository.pair.recover(sealed, program=repository.kubeseal)
    repository.shell.write("db.yaml", sealed)
    assert repository.migrate("-i", "db.yaml").code == 0
    assert repository.secrets("db.yaml")[0]["data"] == merged(expected)["data"]


def test_words_for_the_agent_on_the_sealed_secret_stay_with_the_secret(repository: Repository) -> None:
    sealed = repository.seal(plain()).replace(
        "  name: db\n", "  name: db\n  annotations: {signet-gitops.dev/wave: '3', example.com/other: x}\n", 1
    )
    repository.shell.write("db.yaml", sealed)
    assert repository.migrate("-i", "db.yaml").code == 0
    metadata = repository.secrets("db.yaml")[0]["metadata"]
    assert metadata["annotations"] == {"signet-gitops.dev/wave": "3", "note": "kept"}


def test_keys_come_from_standard_input_too(repository: Repository) -> None:
    repository.shell.write("db.yaml", repository.seal(plain()))
    pem = repository.pair.key.encode()
    result = repository.shell.agent("migrate", "sealed-secrets", "--sealing-key", "-", "-i", "db.yaml", stdin=pem)
    assert result.code == 0, result.err
    assert b"standard input" in result.out
    assert [each["kind"] for each in repository.secrets("db.yaml")] == ["Secret"]


def test_rules_that_would_leave_a_value_in_the_clear_are_refused(repository: Repository) -> None:
    sealed = repository.seal(plain())
    repository.shell.write("db.yaml", sealed)
    for flags in (
        ("--encrypted-regex", "^password$"),
        ("--unencrypted-regex", "^text$"),
        ("--encrypted-suffix", "word"),
    ):
        result = repository.migrate(*flags, "-i", "db.yaml")
        assert result.code == 1
        assert "the rules would leave a value of a Secret in the clear" in result.err
        assert repository.files() == {"db.yaml": sealed}
    assert (
        repository.migrate("--unencrypted-regex", "^(apiVersion|kind|metadata|type|immutable)$", "-i", "db.yaml").code
        == 0
    )


def test_a_rule_of_sops_yaml_is_followed_for_the_file_that_is_written(repository: Repository) -> None:
    rules = (
        f"creation_rules:\n  - path_regex: ^out/\n    age: {repository.shell.recipient}\n    mac_only_encrypted: true\n"
    )
    repository.shell.write(".sops.yaml", rules)
    repository.shell.write("db.yaml", repository.seal(plain()))
    refused = repository.migrate("-i", "db.yaml")
    assert refused.code == 1
    assert "no creation rule matches" in refused.err
    assert repository.migrate("--output-dir", "out", "db.yaml").code == 0
    written = repository.files()["out/db.yaml"]
    assert "mac_only_encrypted: true" in written
    assert "encrypted_regex: ^(data|stringData)$" in written


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--sealing-key", "missing.yaml", "-i", "."), 100),
        (("--sealing-key", ".sops.yaml", "-i", "."), 2),
        (("-i", "missing.yaml"), 1),
        (("-i", "*.yml"), 1),
        (("-i", "--output-dir", "out", "."), 8),
    ],
)
def test_what_cannot_be_begun(repository: Repository, arguments: tuple[str, ...], code: int) -> None:
    repository.shell.write("db.yaml", repository.seal(plain()))
    before = repository.files()
    assert repository.migrate(*arguments).code == code
    assert repository.files() == before


def test_globs_and_files_that_are_named_twice(repository: Repository) -> None:
    for name in ("a/db.yaml", "b/db.yaml"):
        repository.shell.write(name, repository.seal(plain()))
    result = repository.migrate("-i", "*/db.yaml", "a", "a/db.yaml")
    assert result.code == 0
    assert len(result.out.splitlines()) == 3
    clash = repository.migrate("--output-dir", "out", "a/db.yaml", "b/db.yaml")
    assert clash.code == 0, "nothing is left to do"
    for name in ("a/db.yaml", "b/db.yaml"):
        repository.shell.write(name, repository.seal(plain()))
    clash = repository.migrate("--output-dir", "out", "--overwrite", "a/db.yaml", "b/db.yaml")
    assert clash.code == 1
    assert "out/db.yaml: the file exists already" in clash.err


def test_a_place_that_cannot_be_written_is_told(repository: Repository) -> None:
    repository.shell.write("db.yaml", repository.seal(plain()))
    repository.shell.write("out", "a file")
    result = repository.migrate("--output-dir", "out", "db.yaml")
    assert result.code == 1
    assert "the folder cannot be made" in result.err
    assert b"not migrated" in result.out


def test_links_in_a_folder_are_left_alone(repository: Repository) -> None:
    sealed = repository.seal(plain())
    elsewhere = repository.shell.write("../elsewhere.yaml", sealed)
    (repository.shell.folder / "link.yaml").symlink_to(elsewhere)
    repository.shell.write(".hidden/db.yaml", sealed)
    repository.shell.write("notes.txt", sealed)
    assert "no SealedSecret found" in repository.migrate("-i", ".").err
    assert elsewhere.read_text() == sealed


def test_flags_are_checked(repository: Repository) -> None:
    assert repository.shell.agent("migrate", "sealed-secrets", "-i", ".").code == 1
    assert repository.shell.agent("migrate", "vault", "-i", ".").code == 1
