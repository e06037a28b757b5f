"""What a folder of manifests merges to, shown without a cluster and without a key."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from agent.cli import terminal

if TYPE_CHECKING:
    from conftest import Shell

REGEX = ("--encrypted-regex", "^(data|stringData)$")
CANARY = "canary-of-render-4711"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg}\ndata: {mode: base, kept: 'yes'}\n"
OVERLAY = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg}\ndata: {mode: prod}\n"
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {CANARY}}}\n"
APPLICATION = """
apiVersion: signet-gitops.dev/v1alpha1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  source: {url: 'https://git.example.com/shop.git', revision: {branch: main}, layers: [base, envs/prod], exclude: ['**/draft-*']}
"""


def seal(shell: Shell, text: str) -> str:
    made = shell.agent(
        "encrypt", "--age", shell.recipient, *REGEX, "--filename-override", "s.yaml", stdin=text.encode()
    )
    assert made.code == 0
    return made.out.decode()


@pytest.fixture
def tree(shell: Shell) -> Shell:
    shell.write("base/cfg.yaml", CONFIG)
    shell.write("envs/prod/cfg.yaml", OVERLAY)
    shell.write("envs/prod/db.yaml", seal(shell, SECRET))
    shell.write("application.yaml", APPLICATION)
    return shell


def rendered(shell: Shell, *arguments: str) -> dict[str, dict]:
    result = shell.agent("render", "-o", "json", *arguments)
    assert result.code == 0, result.err
    assert CANARY not in result.err
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in json.loads(result.out)["items"]}


def test_layers_are_merged_and_secrets_are_labels_without_any_key(tree: Shell) -> None:
    tree.env("SOPS_AGE_KEY", None)
    found = rendered(tree, "--layers", "base,envs/prod")
    assert found["ConfigMap/cfg"]["data"] == {"mode": "prod", "kept": "yes"}
    assert found["Secret/db"]["stringData"] == {"password": "<secret sops:envs/prod/db.yaml#stringData.password>"}
    assert rendered(tree, "--layers", "base", "--layers", "envs/prod") == found


def test_yaml_names_the_files_and_reads_back(tree: Shell) -> None:
    result = tree.agent("render", "--layers", "base,envs/prod")
    assert result.code == 0
    text = result.out.decode()
    assert "# base/cfg.yaml, envs/prod/cfg.yaml\n" in text
    assert [each["kind"] for each in yaml.safe_load_all(text)] == ["ConfigMap", "Secret"]
    assert CANARY not in text


def test_an_application_says_layers_globs_and_namespace(tree: Shell) -> None:
    tree.write("base/draft-x.yaml", "no: manifest\n")
    found = rendered(tree, "-f", "application.yaml")
    assert {item["metadata"]["namespace"] for item in found.values()} == {"shop"}
    assert tree.agent("render", "-f", "application.yaml", "-n", "other").code == 2
    assert tree.agent("render", "-f", "base/cfg.yaml").code == 2


def test_objects_come_in_the_order_in_which_they_are_applied(shell: Shell) -> None:
    kinds = {
        "v1": ["Service", "Secret", "Namespace"],
        "rbac.authorization.k8s.io/v1": ["ClusterRole"],
        "apps/v1": ["Deployment"],
    }
    for version, names in kinds.items():
        for kind in names:
            shell.write(f"{kind}.yaml", json.dumps({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}))
    items = json.loads(shell.agent("render", "-n", "shop", "-o", "json").out)["items"]
    assert [item["kind"] for item in items] == ["Namespace", "ClusterRole", "Secret", "Service", "Deployment"]
    assert [item["metadata"].get("namespace") for item in items] == [None, None, "shop", "shop", "shop"]


def test_unknown_kinds_are_taken_for_namespaced_with_a_warning(shell: Shell) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "zones.example.com"},
        "spec": {"group": "example.com", "scope": "Cluster", "names": {"kind": "Zone"}, "versions": [{"name": "v1"}]},
    }
    shell.write("crd.yaml", json.dumps(crd))
    shell.write("zone.yaml", "apiVersion: example.com/v1\nkind: Zone\nmetadata: {name: z}\n")
    shell.write("other.yaml", "apiVersion: example.org/v1\nkind: Other\nmetadata: {name: o}\n")
    shell.write("old.yaml", "apiVersion: rbac.authorization.k8s.io/v1beta1\nkind: ClusterRole\nmetadata: {name: c}\n")
    result = shell.agent("render", "-n", "shop", "-o", "json")
    assert result.code == 0, result.err
    found = {item["kind"]: item["metadata"].get("namespace") for item in json.loads(result.out)["items"]}
    assert found == {"CustomResourceDefinition": None, "Zone": None, "Other": "shop", "ClusterRole": None}
    assert "Other of example.org/v1" in result.err
    assert "Zone" not in result.err


def test_clear_secrets_are_labels_and_references_stay_as_they_are_written(shell: Shell) -> None:
    data = {
        "clear": CANARY,
        "whole": "vault://main/kv/db#password",
        "part": f"{CANARY}:${{vault://main/kv/db#user}}@host",
    }
    shell.write(
        "s.yaml", json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": data})
    )
    result = shell.agent("render", "-n", "shop", "-o", "json")
    shown = json.loads(result.out)["items"][0]["stringData"]
    assert shown["clear"] == "<secret git:Secret shop/s#stringData.clear>"
    assert shown["whole"] == "vault://main/kv/db#password"
    assert shown["part"] == "<secret git:Secret shop/s#stringData.part with vault://main/kv/db#user>"
    assert CANARY.encode() not in result.out


def test_values_are_shown_on_a_terminal_or_by_force(tree: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = tree.agent("render", "--layers", "base,envs/prod", "--reveal")
    assert (refused.code, refused.out) == (2, b"")
    assert "--force" in refused.err
    forced = rendered(tree, "--layers", "base,envs/prod", "--reveal", "--force")
    assert forced["Secret/db"]["stringData"] == {"password": CANARY}
    monkeypatch.setattr(terminal, "is_tty", lambda stream="stdout": stream == "stdout")
    assert CANARY.encode() in tree.agent("render", "--layers", "base,envs/prod", "--reveal").out


def test_an_altered_file_holds_its_object_and_what_needs_it(tree: Shell) -> None:
    path = tree.folder / "envs/prod/db.yaml"
    path.write_text(path.read_text().replace("{name: db}", "{name: db, labels: {a: b}}"))
    pod = {"containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "db"}}]}]}
    tree.write("base/pod.yaml", json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod}))
    assert tree.agent("render", "--layers", "base,envs/prod").code == 0, "nothing is opened unless asked"
    for flags in (["--verify"], ["--reveal", "--force"]):
        result = tree.agent("render", "--layers", "base,envs/prod", "-o", "json", *flags)
        assert result.code == 1
        assert [item["kind"] for item in json.loads(result.out)["items"]] == ["ConfigMap"]
        assert "agent: envs/prod/db.yaml: " in result.err
        assert "Pod default/p: waits for an object that is held" in result.err
        assert CANARY not in result.err


def test_a_missing_key_is_reported_with_the_file(tree: Shell) -> None:
    tree.env("SOPS_AGE_KEY", None)
    result = tree.agent("render", "--layers", "base,envs/prod", "--verify")
    assert result.code == 1
    assert "envs/prod/db.yaml" in result.err
    assert b"kind: ConfigMap" in result.out


FAULTS = {
    "unparsable": ("bad.yaml", "a: [\n"),
    "a number in data": (
        "bad.yaml",
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{port: 5432, x: {CANARY}}}\n",
    ),
    "no base64": ("bad.yaml", f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{x: '{CANARY}!'}}\n"),
    "a forbidden sink": (
        "bad.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata: {x: 'vault://main/kv/a#b'}\n",
    ),
    "a foreign reference": (
        "bad.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {x: '<path:kv/data/a#b>'}\n",
    ),
    "a foreign namespace": (
        "bad.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: kube-system}\n",
    ),
    "a second of its name": ("bad.yaml", CONFIG),
    "kustomize": ("kustomization.yaml", "resources: []\n"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_agent_refuses_is_refused_and_the_rest_is_shown(shell: Shell, fault: str) -> None:
    name, text = FAULTS[fault]
    shell.write("good.yaml", CONFIG.replace("cfg", "good"))
    shell.write("also.yaml", CONFIG)
    shell.write(name, text)
    result = shell.agent("render", "-n", "shop", "-o", "json")
    assert result.code == 1
    assert "good" in {item["metadata"]["name"] for item in json.loads(result.out)["items"]}
    assert f"agent: {name}" in result.err
    assert "hint: " in result.err or fault == "unparsable"
    assert CANARY not in result.err + result.out.decode()


def test_a_broken_file_of_a_layer_leaves_nothing_to_say(tree: Shell) -> None:
    tree.write("base/bad.yaml", "a: [\n")
    result = tree.agent("render", "--layers", "base,envs/prod")
    assert (result.code, result.out) == (1, b"")
    assert "base/bad.yaml:" in result.err
    assert "the last good revision stays" in result.err


def test_links_and_what_git_ignores(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q"], cwd=shell.folder, check=True)
    shell.write(".gitignore", "scratch.yaml\n")
    shell.write("scratch.yaml", "no: manifest\n")
    shell.write(".hidden/x.yaml", "no: manifest\n")
    shell.write("cfg.yaml", CONFIG)
    assert set(rendered(shell)) == {"ConfigMap/cfg"}
    (shell.folder / "link.yaml").symlink_to("/etc/hostname")
    result = shell.agent("render")
    assert result.code == 1
    assert "agent: link.yaml: symbolic links are not followed" in result.err
    (shell.folder / "link.yaml").unlink()
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert set(rendered(shell)) == {"ConfigMap/cfg"}, "what a hook's environment says is not asked"
    (shell.folder / "elsewhere").symlink_to("/etc")
    assert shell.agent("render", "--layers", "elsewhere").code == 2


USAGE = [
    ["no-such-folder"],
    ["--layers", "../x"],
    ["--layers", "none"],
    ["--layers", "a,a/b"],
    ["-f", "missing.yaml"],
    ["--nonsense"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_what_cannot_be_tried(shell: Shell, arguments: list[str]) -> None:
    shell.write("a/b/cfg.yaml", CONFIG)
    result = shell.agent("render", *arguments)
    assert (result.code, result.out) == (2, b"")
    assert "internal error" not in result.err


def test_names_from_git_move_no_cursor(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.write("a\x1b[2J\u202e.yaml", CONFIG.replace("mode: base", 'mode: "\\u202eesab\\e[2J"'))
    monkeypatch.setattr(terminal, "is_tty", lambda stream="stdout": True)
    result = shell.agent("render")
    assert result.code == 0
    assert b"\x1b" not in result.out
    assert "\u202e" not in result.out.decode()


def test_the_operator_s_file_allows_sinks(shell: Shell) -> None:
    shell.write(
        "cr.yaml",
        "apiVersion: example.com/v1\nkind: Database\nmetadata: {name: d}\nspec: {password: 'vault://main/kv/a#b'}\n",
    )
    assert shell.agent("render", "-n", "shop").code == 1
    field = {"group": "example.com", "kind": "Database", "path": "spec.password"}
    operator = shell.folder.parent / "operator.yaml"
    operator.write_text(json.dumps({"sinks": {"customResources": [field]}}))
    assert rendered(shell, "-n", "shop", "--operator-file", str(operator))["Database/d"]["spec"] == {
        "password": "vault://main/kv/a#b"
    }


def test_submodules_are_refused_as_the_agent_does(shell: Shell) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=d", "-c", "user.email=d@example.com", *arguments], cwd=shell.folder, check=True
        )

    git("init", "-q")
    git("init", "-q", "sub")
    shell.write("sub/other.yaml", CONFIG)
    shell.write("cfg.yaml", CONFIG.replace("cfg", "mine"))
    git("-C", "sub", "add", "other.yaml")
    git("-C", "sub", "commit", "-q", "-m", "x")
    git("-c", "advice.addEmbeddedRepo=false", "add", "sub")
    result = shell.agent("render", "-o", "json")
    assert result.code == 1
    assert "agent: sub: submodules are not followed" in result.err
    assert [item["metadata"]["name"] for item in json.loads(result.out)["items"]] == ["mine"]


def test_no_client_library_is_loaded(tree: Shell) -> None:
    script = (
        "import sys; from agent.cli.main import main; code = main(sys.argv[1:]); "
        "sys.exit(code or ' '.join(n for n in sys.modules if n in {'kubernetes', 'aiohttp', 'hvac', 'git', 'prometheus_client'}))"
    )
    command = [sys.executable, "-c", script, "render", "--layers", "base,envs/prod"]
    done = subprocess.run(command, cwd=tree.folder, capture_output=True, check=False)
    assert (done.returncode, done.stderr.strip()) in {(0, b""), (1, b"")}


def test_help_has_examples(shell: Shell) -> None:
    for name in ("render", "diff", "sync", "status"):
        result = shell.agent(name, "--help")
        assert result.code == 0
        assert f"agent {name}" in result.out.decode().split("examples:")[1]
        assert "exit codes:" in result.out.decode()


def test_a_cause_that_many_files_have_is_one_line_with_a_count(shell: Shell) -> None:
    for number in range(5):
        shell.write(f"chart/templates/{number}.yaml", "a: {{ .Values.a }}\n")
    shell.write("chart/values.yaml", "a: b\n")
    shell.write("chart/one.yaml", "a: b\n")
    shell.write("chart/two.yaml", "a: b\n")
    result = shell.agent("render", "--layers", "chart")
    assert result.code == 1
    places = ", ".join(f"chart/templates/{number}.yaml:1" for number in range(3))
    assert result.err.splitlines() == [
        f"agent: {places} and 2 more: this looks like a Helm template, which is not rendered (5 times)",
        "hint: commit the output of the tool that renders it, or leave the file out with spec.source.exclude",
        "agent: chart/one.yaml:1, chart/two.yaml:1: apiVersion: document has neither apiVersion nor kind (2 times)",
        "hint: a manifest has apiVersion, kind and metadata.name; leave other files out with spec.source.exclude",
        "agent: chart/values.yaml:1: apiVersion: this looks like the values of a Helm chart, not a manifest",
        "hint: leave the file out with spec.source.exclude",
        "0 objects, 0 held, 8 problems",
    ]


SEVERAL = """
apiVersion: signet-gitops.dev/v1alpha1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  source: {url: 'https://git.example.com/shop.git', revision: {branch: main}, layers: [platform/base, envs/prod]}
  sources: [{name: platform, url: 'https://git.example.com/platform.git', revision: {branch: main}, exclude: ['**/draft-*']}]
  substitute: {files: [platform/vars.yaml]}
"""


def test_further_sources_are_checkouts_that_the_user_names(shell: Shell) -> None:
    shell.write("platform/base/cfg.yaml", CONFIG.replace("'yes'", "'${MODE}'"))
    shell.write("platform/base/draft-x.yaml", CONFIG.replace("cfg", "draft"))
    shell.write("platform/vars.yaml", "MODE: of the platform\n")
    shell.write("shop/envs/prod/cfg.yaml", OVERLAY)
    shell.write("application.yaml", SEVERAL)
    found = rendered(shell, "-f", "application.yaml", "--source", "platform=platform", "shop")
    assert found.keys() == {"ConfigMap/cfg"}
    assert found["ConfigMap/cfg"]["data"] == {"mode": "prod", "kept": "of the platform"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the Application has a further source (source platform)"),
        (["--source", "platform=nowhere"], "neither a source"),
        (["--source", "platform=shop", "--source", "other=shop"], "neither a source"),
    ],
)
def test_a_checkout_that_is_missing_or_none_is_said(shell: Shell, arguments: list[str], message: str) -> None:
    shell.write("shop/envs/prod/cfg.yaml", OVERLAY)
    shell.write("application.yaml", SEVERAL)
    result = shell.agent("render", "-f", "application.yaml", *arguments, "shop")
    assert result.code == 2
    assert message in result.err


def test_submodules_are_read_as_they_are_checked_out(shell: Shell) -> None:
    def git(folder: str, *command: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        options = ["-C", str(shell.folder / folder), "-c", "protocol.file.allow=always", *who]
        return subprocess.run(["git", *options, *command], capture_output=True, check=True, text=True).stdout.strip()

    shell.write("lib/base/cfg.yaml", CONFIG)
    shell.write("lib/base/ignored.yaml", CONFIG.replace("cfg", "ignored"))
    shell.write("lib/.gitignore", "ignored.yaml\n")
    shell.write("shop/own.yaml", CONFIG.replace("cfg", "own"))
    for folder in ("lib", "shop"):
        git(folder, "init", "--quiet")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", "x")
    git("shop", "submodule", "--quiet", "add", "--name", "lib", str(shell.folder / "lib"), "vendor/lib")
    git("shop", "config", "--file", ".gitmodules", "submodule.lib.url", "../lib")
    shell.write("shop/vendor/lib/base/ignored.yaml", CONFIG.replace("cfg", "ignored"))
    application = """
apiVersion: signet-gitops.dev/v1alpha1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  source: {url: 'https://git.example.com/team/shop.git', revision: {branch: main}, submodules: [{url: '%s'}]}
"""
    shell.write("application.yaml", application % "https://git.example.com/team")
    found = rendered(shell, "-f", "application.yaml", "shop")
    assert found.keys() == {"ConfigMap/own", "ConfigMap/cfg"}

    shell.write("other.yaml", application % "https://git.example.com/other")
    result = shell.agent("render", "-f", "other.yaml", "shop")
    assert "submodules are not followed" in result.err
    git("shop", "submodule", "deinit", "--force", "vendor/lib")
    result = shell.agent("render", "-f", "application.yaml", "shop")
    assert "a submodule is not checked out" in result.err
