"""`agent bootstrap`: from nothing to a decrypted Secret, with a real agent and Git server."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from testbed import agent as agents
from testbed.controlplane import ControlPlane
from testbed.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from conftest import Shell

    from testbed.gitserver import GitServer
    from testbed.openbao import OpenBao

SECRET = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: database\nstringData:\n  password: {}\n"


@pytest.fixture(scope="module")
def installation(gitserver: GitServer, openbao: OpenBao) -> Generator[Installation]:
    """A control plane of its own, with an agent."""
    with ControlPlane() as controlplane, Installation(controlplane, gitserver, openbao) as running:
        running.start()
        yield running


@pytest.fixture
def desk(shell: Shell, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A developer in an empty work tree, with the rights of an administrator."""
    shell.env("KUBECONFIG", str(installation.controlplane.kubeconfig(shell.folder / "kubeconfig")))
    tree = shell.folder / "tree"
    tree.mkdir()
    monkeypatch.chdir(tree)
    return shell


def flags(gitserver: GitServer, folder: Path, url: str) -> list[str]:
    (folder / "password").write_text(f"{gitserver.password}\n")
    (folder / "ca.pem").write_text(gitserver.ca_pem)
    credential = ["--username", gitserver.username, "--password-file", str(folder / "password")]
    return ["--url", url, *credential, "--ca-file", str(folder / "ca.pem")]


def test_the_first_application_of_a_tenant(desk: Shell, installation: Installation, gitserver: GitServer):
    cluster, password = installation.controlplane, secrets.token_hex(16)
    repository = gitserver.create("bootstrap")
    arguments = ["bootstrap", "first", "--recovery", desk.recipient, *flags(gitserver, desk.folder, repository.url)]

    asked = desk.agent(*arguments)
    assert asked.code == 1
    assert asked.out.decode().splitlines() == [
        "create Namespace first",
        "create ServiceAccount signet-applier",
        "create RoleBinding signet-applier",
        "create Application first",
        "create Secret sops-age",
        "create Secret git",
        "create file .sops.yaml",
    ]
    assert cluster.request("GET", "/api/v1/namespaces/first")[0] == 404

    made = desk.agent(*arguments, "--yes")
    assert made.code == 0, made.err
    key = cluster.get("/api/v1/namespaces/first/secrets/sops-age")["data"]
    identity = base64.b64decode(key["age.agekey"]).decode()
    assert identity.startswith("AGE-SECRET-KEY-1")
    for emitted in (made.out, made.err.encode(), asked.out):
        assert identity.encode() not in emitted
        assert gitserver.password.encode() not in emitted

    file = desk.folder / "tree" / "database.secret.yaml"
    file.write_text(SECRET.format(password))
    assert desk.agent("encrypt", "-i", str(file)).code == 0
    opened = desk.agent("decrypt", str(file))  # by the recovery key
    assert password.encode() in opened.out
    commit = repository.commit({"database.secret.yaml": file.read_bytes()}, "Add a secret")
    agents.Deployed(cluster, "first", "first").wait("Ready", "True", revision=commit)
    live = cluster.get("/api/v1/namespaces/first/secrets/database")["data"]
    assert base64.b64decode(live["password"]).decode() == password

    before = [cluster.get("/api/v1/namespaces/first/secrets/" + each) for each in ("sops-age", "git")]
    again = desk.agent(*arguments)
    assert (again.code, again.err) == (0, "")
    assert again.out.decode().startswith("recipient of first: age1")
    assert [cluster.get("/api/v1/namespaces/first/secrets/" + each) for each in ("sops-age", "git")] == before


def test_export_makes_nothing_and_shows_no_secret(desk: Shell, installation: Installation, gitserver: GitServer):
    arguments = flags(gitserver, desk.folder, "https://git.example.com/shop.git")
    exported = desk.agent("bootstrap", "other", "--no-recovery", "--layers", "base,envs/prod", "--export", *arguments)
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(exported.out))
    assert [each["kind"] for each in documents] == ["Namespace", "ServiceAccount", "RoleBinding", "Application"]
    assert documents[-1]["spec"]["source"]["layers"] == ["base", "envs/prod"]
    assert gitserver.password.encode() not in exported.out
    assert installation.controlplane.request("GET", "/api/v1/namespaces/other")[0] == 404
    assert not (desk.folder / "tree" / ".sops.yaml").exists()


def test_existing_rules_stay(desk: Shell, gitserver: GitServer):
    rules = desk.folder / "tree" / ".sops.yaml"
    rules.write_text("creation_rules: []\n")
    made = desk.agent(
        "bootstrap", "ruled", "--no-recovery", "--yes", *flags(gitserver, desk.folder, "https://git.example.com/r.git")
    )
    assert made.code == 0, made.err
    assert rules.read_text() == "creation_rules: []\n"
    assert "does not name every recipient" in made.err
    recipient = made.out.decode().rpartition(" ")[2].strip()
    assert f"add age: {recipient}" in made.err


def test_what_stands_in_a_namespace_that_gets_every_right_is_named(desk: Shell, installation: Installation):
    cluster = installation.controlplane
    agents.tenant(cluster, "taken")
    source = {"url": "https://git.example.com/theirs.git", "revision": {"branch": "main"}}
    agents.Deployed(cluster, "taken", "theirs").apply({"source": source})
    arguments = ["--platform", "--no-recovery", "--url", "https://git.example.com/ours.git"]
    asked = desk.agent("bootstrap", "taken", *arguments)
    assert asked.code == 1
    assert "Application taken/theirs stands already, and gets every right in the cluster" in asked.err

    role = ["--clusterrole", "signet-platform", "--serviceaccount", "elsewhere:signet-applier"]
    cluster.kubectl("create", "clusterrolebinding", "signet-platform", *role)
    try:
        refused = desk.agent("bootstrap", "taken", *arguments, "--yes")
    finally:
        cluster.kubectl("delete", "clusterrolebinding", "signet-platform")
    assert refused.code == 2
    assert "another namespace has the rights of the platform" in refused.err
    assert cluster.request("GET", "/api/v1/namespaces/taken/secrets/sops-age")[0] == 404


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--username", "u"], "--username and --password-file go together"),
        (["--ssh-key", "k"], "--ssh-key and --known-hosts go together"),
    ],
)
def test_half_a_credential_is_refused(desk: Shell, arguments: list[str], error: str):
    refused = desk.agent("bootstrap", "half", "--url", "https://git.example.com/r.git", "--no-recovery", *arguments)
    assert refused.code == 2
    assert error in refused.err


def test_a_key_that_lives_in_the_cluster_alone_has_to_be_asked_for(desk: Shell):
    refused = desk.agent("bootstrap", "alone", "--url", "https://git.example.com/r.git")
    assert refused.code == 2
    assert "--recovery" in refused.err


def test_no_file_is_made_where_a_link_of_the_work_tree_leads(shell: Shell):
    (shell.folder / ".sops.yaml").symlink_to(shell.folder / "outside")
    refused = shell.agent("bootstrap", "shop", "--no-recovery", "--url", "https://git.example.com/shop.git", "--yes")
    assert (refused.code, "a link that leads nowhere" in refused.err) == (2, True)
    assert not (shell.folder / "outside").exists()


@pytest.mark.parametrize("namespace", ["signet-system", "kube-system"])
def test_a_tenant_is_not_put_where_accounts_with_every_right_are(shell: Shell, namespace: str):
    asked = ("bootstrap", "shop", "-n", namespace, "--no-recovery", "--url", "https://git.example.com/r.git")
    for how in ("--export", "--yes"):
        refused = shell.agent(*asked, how)
        assert (refused.code, refused.out) == (2, b"")
        assert "who may write in this namespace may do everything in the cluster" in refused.err
    assert shell.agent(*asked, "--export", "--platform").code == 0
