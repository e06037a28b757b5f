"""`make demo` as a user runs it: every step is verified, on servers of its own and on a cluster that is there already."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import terminals

from testbed.agent import ROOT
from testbed.controlplane import ControlPlane
from testbed.demo.show import Show, StepFailedError, expect

STEPS = (
    "keys are made",
    "encrypted for the recipients in .sops.yaml",
    "another key does not",
    "changed after encryption is refused",
    "labels in place of secrets",
    "pushed to Git over HTTPS",
    "Signet is not installed yet",
    "runs as its ServiceAccount",
    "layers merged, age, PGP and Vault secrets in place",
    "a developer runs agent encrypt and commits",
    "the renderer gets placeholders",
    "made once, and kept",
    "each is healed",
    "rotated in Vault",
    "both refused",
    "the rest of that commit is applied",
    "the Application is ready again",
    "a webhook announces a push",
    "pruned",
    "agent audit verify accepts",
    "with one line removed",
    "none found",
    "releases its Lease",
)
_SEQUENCE = re.compile(r"\x1b\[[0-9;]*[mK]")
_STEP = re.compile(r"^ +(?P<number>[0-9]+)  (?P<mark>ok|FAILED)  (?P<title>.*?) +[0-9.]+ m?s$", re.MULTILINE)


def run_demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "testbed.demo", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def assert_verified(done: subprocess.CompletedProcess[str], steps: tuple[str, ...]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    shown = [match["title"] for match in _STEP.finditer(done.stdout) if match["mark"] == "ok"]
    for step in steps:
        assert any(step in title for title in shown), f"{step}\n{done.stdout}"
    assert done.stdout.splitlines()[-1] == f"{len(shown)} steps, {len(shown)} verified"
    assert "\x1b" not in done.stdout, "plain without a terminal"


def test_every_step_is_verified_on_servers_of_its_own():
    assert_verified(run_demo(), STEPS)


def test_a_terminal_of_eighty_columns_is_kept_to_and_ctrl_c_cleans_up():
    # gpg's sockets take no longer path than 107 characters, which pytest's folders come near to.
    with tempfile.TemporaryDirectory(prefix="demo-") as temporary:
        _assert_ctrl_c_cleans_up(Path(temporary))


def _assert_ctrl_c_cleans_up(folder):
    code, shown = terminals.run(
        [sys.executable, "-m", "testbed.demo"],
        [("With servers", ""), ("…", ""), (" 1 s", terminals.CTRL_C)],
        cwd=ROOT,
        columns=80,
        environment={"TMPDIR": str(folder)},
    )
    assert code == 130
    lines = [part for line in _SEQUENCE.sub("", shown).replace("^C", "").splitlines() for part in line.split("\r")]
    assert [line for line in lines if len(line) > 80] == []
    assert any(line.startswith("cleaning up") for line in lines)
    assert lines[-1] == "cleaned up: the servers are stopped, and their folders are removed"
    assert list(folder.iterdir()) == []


@pytest.fixture
def existing_cluster():
    """A control plane on which no other test has installed anything."""
    with ControlPlane() as running:
        yield running


def test_a_cluster_that_is_there_is_used_without_building_and_left_as_it_was(existing_cluster, tmp_path):
    def everything() -> set[str]:
        kinds = "namespaces,clusterroles,clusterrolebindings,customresourcedefinitions"
        return set(existing_cluster.kubectl("get", kinds, "-o", "name").split())

    kubeconfig = existing_cluster.kubeconfig(tmp_path / "config")
    before = everything()
    nothing_built = {"XDG_CACHE_HOME": str(tmp_path), "SIGNET_TESTBED_BIN": "", "KUBEBUILDER_ASSETS": ""}
    done = run_demo("--context", "testbed", KUBECONFIG=str(kubeconfig), **nothing_built)
    assert_verified(done, (*STEPS, "deleted from testbed"))
    assert everything() == before
    assert not (tmp_path / "signet").exists()

    # Beside an installed Signet a second agent would handle the same Applications.
    existing_cluster.kubectl("apply", "--server-side", "-f", "deploy/crds/applications.yaml")
    refused = run_demo("--context", "testbed", KUBECONFIG=str(kubeconfig), **nothing_built)
    assert refused.returncode == 1
    assert "Signet is installed" in refused.stderr
    assert everything() == before | {"customresourcedefinition.apiextensions.k8s.io/applications.signet-gitops.dev"}


def test_without_go_the_first_steps_are_shown_and_the_error_says_what_to_do(tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "gpg", "gpgconf", "gpg-agent"):
        (programs / name).symlink_to(shutil.which(name))
    done = run_demo(XDG_CACHE_HOME=str(tmp_path), SIGNET_TESTBED_BIN="", KUBEBUILDER_ASSETS="", PATH=str(programs))
    assert done.returncode == 1
    assert "go is missing" in done.stderr
    assert "CONTEXT=name" in done.stderr
    for step in STEPS[:6]:
        assert step in done.stdout


@pytest.mark.parametrize("example", ["smallest", "shop"])
def test_an_example_is_what_the_agent_would_apply(example):
    folder = ROOT / "examples" / example
    command = [sys.executable, "-m", "agent.cli.main", "render", "-f", folder / "application.yaml", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "kind: ConfigMap" in done.stdout


def test_an_unknown_context_is_an_error(tmp_path):
    (tmp_path / "config").write_text("apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\n")
    done = run_demo("--context", "nowhere", KUBECONFIG=str(tmp_path / "config"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: the kubeconfig has no usable context nowhere")


def test_a_step_that_fails_says_what_was_expected_and_shows_the_log(capsys):
    show = Show()
    show.tail = lambda: "last line of the log"
    with show.step("a good one"):
        pass
    with pytest.raises(StepFailedError), show.step("a bad one"):
        expect(condition=False, expected="a Secret", seen="none")
    assert show.summary() == "2 steps, 1 verified"
    shown = capsys.readouterr().out
    for text in ("FAILED  a bad one", "expected: a Secret", "seen: none", "last line of the log"):
        assert text in shown
