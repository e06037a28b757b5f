"""The operator asks for signed commits: an agent that runs takes the next one only where a signer signed it."""

from __future__ import annotations

import secrets
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from manifests_written import config_map

from testbed.repository import Submodule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from testbed.installation import Installation, Tenant
    from testbed.repository import Repository


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "dev"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def required(installation: Installation, key: Path) -> Iterator[None]:
    """The operator's file says so while the test runs."""
    signers = key.with_name("allowed_signers")
    signers.write_text(f"dev@example.com {key.with_suffix('.pub').read_text()}")
    rule = {"repositories": ["*"], "require": "head", "sshSigners": str(signers)}
    hosts = [urlsplit(installation.gitserver.url).netloc]
    yield installation.configure(git={"allowedHosts": hosts, "signatures": [rule]})
    installation.configure()


def push_signed(repository: Repository, files: Mapping[str, str | Submodule], key: Path) -> None:
    commit = repository.commit(files)
    tree, parent = (repository.git("rev-parse", f"{commit}^{which}") for which in ("{tree}", "1"))
    settings = ("gpg.format=ssh", f"user.signingkey={key}", "user.name=Dev", "user.email=dev@example.com")
    options = [part for each in settings for part in ("-c", each)]
    signed = repository.git(*options, "commit-tree", "-S", "-p", parent, "-m", "Signed", tree)
    repository.git("update-ref", "refs/heads/main", signed)


@pytest.mark.usefixtures("required")
def test_a_commit_without_a_signature_waits_for_one_on_top(tenant: Tenant, key: Path):
    tenant.commit({"settings.yaml": config_map("settings", value="1")})
    tenant.configure()
    tenant.until_failure(reason="Unsigned")
    push_signed(tenant.repository, {"settings.yaml": config_map("settings", value="2")}, key)
    tenant.sync()
    assert tenant.data("settings") == {"value": "2"}
    report = tenant.sync({"settings.yaml": config_map("settings", value="3")})
    assert "the commit is not signed" in report.failure(reason="Unsigned")["message"]
    assert tenant.data("settings") == {"value": "2"}


@pytest.mark.usefixtures("required")
def test_a_submodule_moves_by_a_signed_commit_alone(installation: Installation, tenant: Tenant, key: Path) -> None:
    lib = installation.gitserver.create(f"lib-{secrets.token_hex(3)}")
    first = lib.commit({"b.yaml": config_map("b", value="1")})
    second = lib.commit({"b.yaml": config_map("b", value="2")})
    modules = f'[submodule "lib"]\n\tpath = lib\n\turl = {lib.url}\n'
    tenant.commit({".gitmodules": modules})
    push_signed(tenant.repository, {"lib": Submodule(first)}, key)
    named = {"url": lib.url, "credentials": {"secretName": "git"}}
    tenant.configure(source={**tenant.source("."), "submodules": [named]})
    tenant.until_ready()
    assert tenant.data("b") == {"value": "1"}, "what the outer commit pins needs no signature of its own"
    asked = len(installation.gitserver.requests)
    tenant.sync({"lib": Submodule(second)}).failure(reason="Unsigned")
    assert tenant.data("b") == {"value": "1"}
    name = f"/{lib.url.rpartition('/')[2]}/"
    assert not [each for each in installation.gitserver.requests[asked:] if each.path.startswith(name)]
    push_signed(tenant.repository, {"lib": Submodule(second)}, key)
    tenant.sync()
    assert tenant.data("b") == {"value": "2"}
