"""`agent render` and `agent diff` of an overlay with a base of another repository, which is fetched as the user's own git logs in."""

from __future__ import annotations

import json
import secrets
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from render import build

if TYPE_CHECKING:
    from conftest import Shell

    from testbed.gitserver import GitServer
    from testbed.repository import Repository

APPLICATION = """
apiVersion: signet-gitops.dev/v1alpha1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  source: {url: 'https://git.example.com/shop.git', revision: {branch: main}}
  render: {kustomize: {path: prod, remoteBases: [{url: '%s', credentials: {secretName: login}}]}}
"""
BASE = {"web/kustomization.yaml": "resources: [a.yaml, ../parts]\n", "web/a.yaml": "", "parts/kustomization.yaml": ""}


def config(name: str, value: str = "1") -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"v": value}})


@pytest.fixture
def bases(shell: Shell, gitserver: GitServer) -> Repository:
    """A repository with a base; the user's git trusts its server, and does not know how to log in yet."""
    _ = build.built()
    made = gitserver.create(f"bases-{secrets.token_hex(3)}")
    settings = f'[http "{gitserver.url}"]\nsslCAInfo = {gitserver.ca_file}\n[credential]\nhelper = "store --file={shell.folder}/logins"\n'
    shell.env("GIT_SSL_CAINFO", None)
    shell.env("GIT_CONFIG_GLOBAL", str(shell.write("gitconfig", settings)))
    return made


def log_in(shell: Shell, server: GitServer) -> None:
    host = urlsplit(server.url).netloc
    shell.write("logins", f"https://{server.username}:{server.password}@{host}\n")


def overlay(shell: Shell, repository: Repository, commit: str) -> None:
    url = repository.url.removesuffix(".git")
    shell.write("application.yaml", APPLICATION % url)
    shell.write("prod/kustomization.yaml", f"resources: ['{url}//web?ref={commit}']\nnamePrefix: prod-\n")


def test_a_base_is_fetched_with_what_git_logs_in_with(shell: Shell, gitserver: GitServer, bases: Repository) -> None:
    files = {"web/kustomization.yaml": "resources: [a.yaml]\n", "web/a.yaml": config("a")}
    overlay(shell, bases, bases.commit(files))
    log_in(shell, gitserver)
    before = len(gitserver.requests)
    result = shell.agent("render", "-f", "application.yaml")
    assert (result.code, result.err) == (0, "")
    assert "name: prod-a" in result.out.decode()
    assert f"{bases.url.removesuffix('.git')}//web/a.yaml" in result.out.decode()
    fetched = [each for each in gitserver.requests[before:] if each.fetches]
    assert {each.user for each in fetched} == {gitserver.username}


def test_without_a_login_the_error_says_what_to_do(shell: Shell, bases: Repository) -> None:
    overlay(shell, bases, bases.commit({"web/kustomization.yaml": "resources: []\n"}))
    result = shell.agent("render", "-f", "application.yaml")
    assert result.code == 1
    assert "a remote base cannot be fetched here" in result.err
    assert "git ls-remote" in result.err


@pytest.mark.parametrize("setting", ["credential.helper", "core.askPass"])
def test_no_program_that_the_work_tree_names_is_run(setting: str, shell: Shell, bases: Repository) -> None:
    overlay(shell, bases, bases.commit({"web/kustomization.yaml": "resources: []\n"}))
    script = shell.write("evil.sh", f"#!/bin/sh\ntouch {shell.folder}/evil\n")
    script.chmod(0o700)
    subprocess.run(["git", "init", "--quiet", "."], cwd=shell.folder, check=True)
    subprocess.run(["git", "config", setting, str(script)], cwd=shell.folder, check=True)
    for folder in (None, str(shell.folder / ".git")):
        shell.env("GIT_DIR", folder)
        assert "a remote base cannot be fetched here" in shell.agent("render", "-f", "application.yaml").err
    assert not (shell.folder / "evil").exists()


def test_a_commit_on_no_branch_and_a_repository_over_ssh_are_refused(
    shell: Shell, gitserver: GitServer, bases: Repository
) -> None:
    log_in(shell, gitserver)
    commit = bases.commit({"web/kustomization.yaml": "resources: []\n"}, branch="proposed")
    bases.git("update-ref", "refs/pull/1/head", commit)
    bases.commit({"README.md": "x"})
    bases.delete_branch("proposed")
    overlay(shell, bases, commit)
    result = shell.agent("render", "-f", "application.yaml")
    assert (result.code, "no branch or tag of the repository contains this commit" in result.err) == (2, True)
    url = "ssh://git@git.example.com/bases"
    shell.write("application.yaml", APPLICATION % url)
    shell.write("prod/kustomization.yaml", f"resources: ['{url}//web?ref={commit}']\n")
    result = shell.agent("render", "-f", "application.yaml")
    assert "commands fetch remote bases over HTTPS alone" in result.err
    assert "vendor the base" in result.err


def test_the_operators_file_decides_where_it_is_given(shell: Shell, gitserver: GitServer, bases: Repository) -> None:
    log_in(shell, gitserver)
    overlay(shell, bases, bases.commit({"web/kustomization.yaml": "resources: [a.yaml]\n", "web/a.yaml": config("a")}))
    operator = {"git": {"allowedHosts": [urlsplit(gitserver.url).netloc, "git.example.com"]}}
    for granted, code in (([], 1), ([gitserver.url], 0)):
        shell.write("operator.yaml", json.dumps({"git": {**operator["git"], "remoteBases": granted}}))
        result = shell.agent("render", "-f", "application.yaml", "--operator-file", "operator.yaml")
        assert result.code == code, result.err
        assert ("the operator does not grant" in result.err) == bool(code)


def test_an_overlay_without_an_application_says_where_bases_are_declared(shell: Shell, bases: Repository) -> None:
    overlay(shell, bases, bases.commit(BASE))
    result = shell.agent("render", "--kustomize", "prod")
    assert result.code == 1
    assert "spec.render.kustomize.remoteBases" in result.err
