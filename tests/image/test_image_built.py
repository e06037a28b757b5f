"""The image that `make image` builds: what it holds, that it is the same twice, and that an agent from it does its whole work."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from image import sbom
from image.build import Choices, build, materials
from image.contained import Contents
from testbed import binaries
from testbed.agent import ROOT
from testbed.container import USER, ContainedAgent
from testbed.controlplane import ControlPlane
from testbed.installation import STORE, Installation
from testbed.sshserver import SshServer, host_key

if TYPE_CHECKING:
    from conftest import Run

    from image.archive import Image
    from testbed.gitserver import GitServer
    from testbed.openbao import OpenBao

pytestmark = pytest.mark.timeout(1200)  # the image is built on a machine that is busy with other tests
_MOST_PACKED = 120 * 2**20
_SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{value: {value}}}\n"


def test_a_second_build_is_the_same_image(image: Image, tmp_path: Path) -> None:
    """Without earlier layers. If Debian has other packages since those layers were made, the build after that is the second."""
    other = build(Choices(again=True, output=tmp_path))
    if Contents.of(other).parts != Contents.of(image).parts:
        image, other = other, build(Choices(again=True, output=tmp_path / "other"))
    assert other.digest == image.digest
    assert materials(other).read_text() == materials(image).read_text()


def test_what_a_cluster_sees_of_it(image: Image) -> None:
    assert image.packed <= _MOST_PACKED
    assert image.config["User"] == f"{USER}:{USER}"
    assert image.config["Entrypoint"] == ["agent"]
    labels = image.config["Labels"]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert labels["org.opencontainers.image.revision"] == commit.strip()
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_nothing_is_in_it_that_gives_rights_or_is_not_needed(image: Image) -> None:
    members = [member for layer in image.layers for member, _ in image.members(layer)]
    assert {(member.uid, member.gid) for member in members} == {(0, 0)}
    assert not [
        member.name
        for member in members
        if member.mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH) and not member.issym()
    ]
    assert not [member.name for member in members if not (member.isreg() or member.isdir() or member.issym())]
    names = {member.name for member in members}
    programs = {name.rpartition("/")[2] for name in names if name.startswith(("usr/bin/", "opt/signet/bin/"))}
    assert {"git", "gpg", "ssh", "agent"} <= programs
    assert not programs & {"apt", "apt-get", "bash", "curl", "dpkg", "perl", "pip", "pip3", "tar", "wget"}
    assert "tmp" not in names
    assert not [name for name in names if "/tests/" in name or name.endswith((".pyi", ".pyx", ".key"))]
    # what the build was given stays out
    assert not [name for name in names if name.startswith(("build", "run/ca.pem", "root"))]


def test_its_bill_of_materials_is_of_what_it_holds(image: Image) -> None:
    bill = json.loads(materials(image).read_text())
    assert materials(image).read_text() == sbom.text(image, Contents.of(image))
    versions = {(each["purl"].split("/")[0], each["name"]): each["version"] for each in bill["components"]}
    locked = dict(
        line.split(" ")[0].split("==")
        for line in (ROOT / "deploy/requirements.lock").read_text().splitlines()
        if "==" in line
    )
    shipped = {name: version for (kind, name), version in versions.items() if kind == "pkg:pypi" and name != "signet"}
    assert shipped
    assert shipped.items() <= locked.items()
    assert {"git", "gpg", "openssh-client", "libc6", "ca-certificates"} <= {name for _, name in versions}
    assert "helm.sh/helm/v4" in {name for kind, name in versions if kind == "pkg:golang"}


def test_every_module_loads(run: Run) -> None:
    script = """
import importlib, pkgutil, agent
names = [each.name for each in pkgutil.walk_packages(agent.__path__, "agent.")]
for name in names:
    if not name.endswith((".aws", ".azure", ".gcp")):
        importlib.import_module(name)
print(len(names))
"""
    done = run("python3", "-c", script)
    assert done.stderr == ""
    assert int(done.stdout) > 300


def test_the_agent_says_what_it_is_and_runs(image: Image, run: Run) -> None:
    facts = json.loads(run("agent", "version", "-o", "json").stdout)
    assert facts["commit"] == image.config["Labels"]["org.opencontainers.image.revision"]
    assert facts["version"] == image.config["Labels"]["org.opencontainers.image.version"]
    for name in ("git", "gpg", "python", "engine", "record"):
        assert facts[name], name
    assert facts["renderer"]["kustomize"]


def test_a_key_of_pgp_opens_a_file(run: Run, tmp_path: Path) -> None:
    home, work = tmp_path / "pgp", tmp_path / "work"
    home.mkdir(mode=0o700)
    work.mkdir()
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", ""]
    _ = subprocess.run(
        [*gpg, "--quick-generate-key", "ci@example.com", "rsa2048", "encrypt", "never"], check=True, capture_output=True
    )
    listed = subprocess.run([*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True).stdout
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    plain = work / "plain.yaml"
    _ = plain.write_text("password: hunter2-of-the-image\n")
    sealed = subprocess.run(
        [str(binaries.path("sops")), "encrypt", "--pgp", fingerprint, str(plain)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "GNUPGHOME": str(home)},
    ).stdout
    plain.unlink()
    _ = (work / "sealed.yaml").write_text(sealed)
    _ = subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    for path in (home, *home.rglob("*")):
        os.chown(path, USER, USER)
    done = run("agent", "decrypt", "/work/sealed.yaml", mounts={"/work": work, "/run/pgp": home}, GNUPGHOME="/run/pgp")
    assert (done.stdout, done.stderr) == ("password: hunter2-of-the-image\n", "")


def test_a_kubeconfig_is_read_without_the_models_that_were_left_out(
    run: Run, controlplane: ControlPlane, tmp_path: Path
) -> None:
    folder = tmp_path / "kube"
    folder.mkdir()
    _ = controlplane.kubeconfig(folder / "config")
    text = (folder / "config").read_text().replace(str(controlplane.ca_file), "/kube/ca.crt")
    _ = (folder / "config").write_text(text)
    _ = (folder / "ca.crt").write_text(controlplane.ca_file.read_text())
    os.chown(folder / "config", USER, USER)
    done = run("agent", "check", "--pre", "--kubeconfig", "/kube/config", mounts={"/kube": folder})
    assert "Traceback" not in done.stderr
    assert "Kubernetes" in done.stdout


def test_an_agent_from_it_does_its_whole_work(image: Image, root: Path, gitserver: GitServer, openbao: OpenBao) -> None:
    """On a read-only root: Git over HTTPS and SSH, a store, transit and age keys, an overlay; and nothing of it stays in the root."""
    before = {path.relative_to(root) for path in root.rglob("*")}
    with (
        ControlPlane() as controlplane,
        Installation(controlplane, gitserver, openbao) as installation,
        SshServer() as ssh,
    ):
        installation.agents[0] = ContainedAgent(controlplane, installation.supervisor, root, image.config)
        installation.start()
        installation.configure(git={"allowedHosts": [urlsplit(gitserver.url).netloc, ssh.netloc]})

        first, second, third = (installation.canary(name) for name in ("age", "transit", "store"))
        tenant = installation.tenant()
        where = f"{installation.mount}/apps/{tenant.namespace}"
        openbao.put(f"apps/{tenant.namespace}", {"value": third}, mount=installation.mount)
        files = {
            "kustomization.yaml": "namePrefix: prod-\nresources: [age.yaml, transit.yaml, store.yaml]\n",
            "age.yaml": tenant.seal(_SECRET.format(name="age", value=json.dumps(first))),
            "transit.yaml": tenant.seal_by_transit(_SECRET.format(name="transit", value=json.dumps(second))),
            "store.yaml": _SECRET.format(name="store", value=f"vault://{STORE}/{where}#value"),
        }
        tenant.deploy(files, render={"kustomize": {"path": "."}})
        assert [tenant.secret(f"prod-{name}") for name in ("age", "transit", "store")] == [
            {"value": value} for value in (first, second, third)
        ]

        over_ssh, key = installation.tenant(), host_key()
        over_ssh.repository = ssh.create(over_ssh.namespace, key)
        over_ssh.put_secret("git", {"identity": key.export_private_key().decode(), "known_hosts": ssh.known_hosts})
        over_ssh.deploy(
            {"settings.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n"}
        )
        assert over_ssh.data("settings") == {"a": "b"}

        process = installation.agent.process
        assert process is not None
        logs = installation.agent.logs()
        seen = Path(f"/proc/{process.pid}/environ").read_text() + logs
        assert not [name for name, value in installation.canaries.items() if value in seen]
        assert f'"identity": "{installation.agent.name}"' in logs
    made = {path.relative_to(root) for path in root.rglob("*")} - before
    assert not [path for path in made if (root / path).is_file() and path.name not in {"hosts", "resolv.conf"}]
