"""The command and sops on the same PGP key and the same transit key."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.adapters.keys import age

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Shell

    from testbed.openbao import OpenBao

PLAIN = b"a: hunter2\n"


@pytest.fixture(scope="module")
def gnupg_home() -> Iterator[Path]:
    """With a short path: gpg's sockets have to fit into 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
    yield folder
    subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=True, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)  # the agent that ends removes its sockets itself


@pytest.fixture(scope="module")
def fingerprint(gnupg_home: Path) -> str:
    gpg = ["gpg", "--homedir", gnupg_home, "--batch", "--passphrase", "", "--pinentry-mode", "loopback"]
    subprocess.run(
        [*gpg, "--quick-gen-key", "a@example.com", "rsa2048", "encr", "never"], check=True, capture_output=True
    )
    listed = subprocess.run([*gpg, "--with-colons", "-k"], check=True, capture_output=True).stdout.decode()
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))


def test_a_pgp_key_of_the_user_s_home(shell: Shell, gnupg_home: Path, fingerprint: str) -> None:
    shell.env("SOPS_AGE_KEY", None)
    shell.env("GNUPGHOME", str(gnupg_home))
    made = shell.agent("encrypt", "--pgp", fingerprint, "--filename-override", "s.yaml", stdin=PLAIN)
    shell.write("s.yaml", made.out)
    assert shell.sops("decrypt", "s.yaml").out == PLAIN
    assert shell.agent("decrypt", "s.yaml").out == PLAIN
    shell.write("t.yaml", PLAIN)
    shell.env("SOPS_PGP_FP", fingerprint)
    assert shell.sops("encrypt", "-i", "t.yaml").code == 0
    assert shell.agent("decrypt", "t.yaml").out == PLAIN
    assert shell.agent("encrypt", "--pgp", "0" * 40, "--filename-override", "s.yaml", stdin=PLAIN).code == 1


def test_a_group_of_age_and_a_group_of_pgp(shell: Shell, gnupg_home: Path, fingerprint: str) -> None:
    shell.env("GNUPGHOME", str(gnupg_home))
    shell.write(
        ".sops.yaml", f"creation_rules: [{{key_groups: [{{age: [{shell.recipient}]}}, {{pgp: ['{fingerprint}']}}]}}]\n"
    )
    shell.write("plain.yaml", PLAIN)
    for name, run in (("ours.yaml", shell.agent), ("theirs.yaml", shell.sops)):
        shell.write(name, run("encrypt", "plain.yaml").out)
        for order in ("age,pgp", "pgp,age", "kms"):
            assert shell.agent("decrypt", "--decryption-order", order, name).out == PLAIN
            assert shell.sops("decrypt", "--decryption-order", order, name).out == PLAIN
        assert shell.agent("rotate", "-i", "--rm-pgp", "0" * 40, name).code == 0
        assert shell.sops("decrypt", name).out == PLAIN
    shell.env("GNUPGHOME", str(shell.folder))
    for name in ("ours.yaml", "theirs.yaml"):
        result = shell.agent("decrypt", name)
        assert result.code == shell.sops("decrypt", name).code == 128
        assert f"group 2, pgp {fingerprint}: " in result.err


@pytest.mark.parametrize(
    ("order", "asked"), [("age,pgp", True), ("pgp,age", False), ("pgp", False), ("kms,age", True), ("", True)]
)
def test_the_kinds_are_tried_in_the_order_asked_for(
    shell: Shell, gnupg_home: Path, fingerprint: str, order: str, asked: bool
) -> None:
    """The command that gives the age identity shows whether age was tried."""
    shell.env("GNUPGHOME", str(gnupg_home))
    shell.env("SOPS_AGE_KEY", None)
    shell.write("identity.txt", shell.identity)
    made = shell.agent(
        "encrypt", "--age", shell.recipient, "--pgp", fingerprint, "--filename-override", "s.yaml", stdin=PLAIN
    )
    shell.write("s.yaml", made.out)
    command = shell.write("key.sh", "#!/bin/sh\ntouch asked\ncat identity.txt\n")
    command.chmod(0o700)
    shell.env("SOPS_AGE_KEY_CMD", str(command))
    for run in (shell.agent, shell.sops):
        for flags in (("--decryption-order", order), ()):
            shell.env("SOPS_DECRYPTION_ORDER", None if flags else order)
            assert run("decrypt", *flags, "s.yaml").out == PLAIN
            assert (shell.folder / "asked").exists() is asked
            (shell.folder / "asked").unlink(missing_ok=True)


def test_a_transit_key_of_the_server_that_the_user_named(shell: Shell, openbao: OpenBao) -> None:
    openbao.enable_transit(mount="cli")
    openbao.create_transit_key("app", mount="cli")
    uri = f"{openbao.url}/v1/cli/keys/app"
    shell.env("SOPS_AGE_KEY", None)
    shell.env("VAULT_TOKEN", openbao.root_token)
    made = shell.agent("encrypt", "--hc-vault-transit", uri, "--filename-override", "s.yaml", stdin=PLAIN)
    assert made.code == 0, made.err
    shell.write("s.yaml", made.out)
    assert shell.sops("decrypt", "s.yaml").out == PLAIN

    refused = shell.agent("decrypt", "s.yaml")
    assert refused.code == 128
    assert "names a server that you have not allowed" in refused.err
    assert shell.agent("decrypt", "--vault-address", openbao.url, "s.yaml").out == PLAIN
    shell.env("VAULT_ADDR", openbao.url)
    assert shell.agent("decrypt", "s.yaml").out == PLAIN
    shell.env("VAULT_TOKEN", None)
    shell.write(str(shell.folder.parent / "home/.vault-token"), openbao.root_token)
    assert shell.agent("decrypt", "s.yaml").out == PLAIN
    shell.write("t.yaml", PLAIN)
    assert shell.sops("encrypt", "-i", "--hc-vault-transit", uri, "t.yaml").code == 0
    assert shell.agent("decrypt", "t.yaml").out == PLAIN


def test_rules_name_no_server_that_is_sent_the_token(shell: Shell, openbao: OpenBao) -> None:
    shell.env("VAULT_TOKEN", openbao.root_token)
    shell.write(".sops.yaml", f"creation_rules:\n  - hc_vault_transit_uri: {openbao.url}/v1/cli/keys/app\n")
    result = shell.agent("encrypt", "--filename-override", "s.yaml", stdin=PLAIN)
    assert result.code == 1
    assert "names a server that you have not allowed" in result.err


def test_a_hybrid_recipient_is_shown_in_short(shell: Shell) -> None:
    recipient, _ = age.generate(hybrid=True)
    shell.write("s.yaml", PLAIN)
    assert shell.agent("encrypt", "-i", "--age", recipient, "s.yaml").code == 0
    result = shell.agent("decrypt", "s.yaml")
    assert f"{recipient[:60]}…: no matching private key: none of the age identities" in result.err
    assert recipient not in result.err
