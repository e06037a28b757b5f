"""Every error case of every command has the exit code that real sops has."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Shell

PLAIN = "a: 1\nb:\n    - x\n    # c\n    - y\nm:\n    k: canary\n"

CASES = r"""
decrypt s.yaml
decrypt none.yaml
decrypt folder.yaml
decrypt plain.yaml
decrypt broken.yaml
decrypt empty.yaml
decrypt list.yaml
decrypt plain.txt
decrypt plain.json
decrypt broken.json
decrypt plain.env
decrypt plain.ini
decrypt nomac.yaml
decrypt --ignore-mac nomac.yaml
decrypt altered.yaml
decrypt --ignore-mac altered.yaml
decrypt moved.yaml
decrypt clear.yaml
decrypt gone.yaml
decrypt noversion.yaml
decrypt badversion.yaml
decrypt badtime.yaml
decrypt entry.yaml
decrypt nokeys.yaml
decrypt foreign.yaml
SOPS_AGE_KEY= decrypt s.yaml
decrypt --extract '["a"]' s.yaml
decrypt --extract '["b"][2]' s.yaml
decrypt --extract '["b"][3]' s.yaml
decrypt --extract '["b"][-1]' s.yaml
decrypt --extract '["b"]["x"]' s.yaml
decrypt --extract '["a"]["x"]' s.yaml
decrypt --extract '["a"][0]' s.yaml
decrypt --extract '["none"]' s.yaml
decrypt --extract a.b s.yaml
decrypt --extract '[]' s.yaml
decrypt --extract '["]' s.yaml
decrypt --extract '[x]' s.yaml
decrypt --extract '["m"]x' s.yaml
decrypt --output-type dotenv s.yaml
decrypt --output-type binary s.yaml
decrypt --output-type ini s.yaml
decrypt --output-type nonsense s.yaml
decrypt --input-type json s.yaml
decrypt --filename-override s.json s.yaml
decrypt --output no/such/folder s.yaml
decrypt -i --output x s.yaml
decrypt -i
decrypt --nonsense s.yaml
decrypt --decryption-order age,age s.yaml
decrypt --decryption-order nonsense s.yaml
SOPS_DECRYPTION_ORDER=age,age decrypt s.yaml
decrypt --enable-local-keyservice=false s.yaml
encrypt --age AGE plain.yaml
encrypt --age AGE none.yaml
encrypt --age AGE folder.yaml
encrypt --age AGE broken.yaml
encrypt --age AGE list.yaml
encrypt --age AGE keys.yaml
encrypt --age AGE empty.yaml
encrypt --age AGE broken.env
encrypt --age AGE s.yaml
encrypt --age AGE s.json
encrypt --age AGE s.env
encrypt --age AGE entry.yaml
encrypt plain.yaml
encrypt none.yaml
encrypt --age age1nonsense plain.yaml
encrypt --age AGE
encrypt
encrypt --age AGE -i --output x plain.yaml
encrypt --age AGE --encrypted-regex a --encrypted-suffix b plain.yaml
encrypt --age AGE --output no/such/folder plain.yaml
encrypt --hc-vault-transit nonsense plain.yaml
encrypt --age AGE --shamir-secret-sharing-threshold nonsense plain.yaml
encrypt --age AGE --input-type yaml plain.txt
--config broken.yaml encrypt --age AGE plain.yaml
--config norule.yaml encrypt plain.yaml
--config norule.yaml encrypt --age AGE plain.yaml
--config rule.yaml encrypt plain.yaml
--config none.yaml encrypt --age AGE plain.yaml
--config none.yaml decrypt s.yaml
--config broken.yaml decrypt s.yaml
--config two.yaml encrypt plain.yaml
SOPS_CONFIG=rule.yaml encrypt plain.yaml
--age AGE encrypt plain.yaml
--verbose encrypt --age AGE plain.yaml
--indent 2 decrypt s.yaml
EDITOR=true edit s.yaml
EDITOR=/no/such edit s.yaml
EDITOR=false edit s.yaml
EDITOR="'" edit s.yaml
EDITOR= PATH=/none edit s.yaml
SOPS_EDITOR=true EDITOR=false edit s.yaml
EDITOR="sed -i s/canary/w/" edit s.yaml
EDITOR="sed -i s/canary/w/" edit plain.yaml
EDITOR="sed -i s/canary/w/" edit none.yaml
EDITOR="sed -i s/example_value/w/" edit --age AGE none.yaml
EDITOR="sed -i s/example_value/w/" edit --age AGE none.json
EDITOR="sed -i s/example_value/w/" edit --age AGE none.env
EDITOR="sed -i s/example_value/w/" edit --age AGE none.ini
EDITOR="sed -i s/file/w/" edit --age AGE none.txt
EDITOR=true edit --age AGE none.yaml
EDITOR="sed -i s/canary/w/" edit folder.yaml
EDITOR="sed -i s/canary/w/" edit foreign.yaml
EDITOR="sed -i s/canary/w/" edit altered.yaml
EDITOR="sed -i s/canary/w/" edit --ignore-mac altered.yaml
EDITOR="sed -i s/example_value/w/" edit --age AGE no/such/folder.yaml
edit
set s.yaml '["a"]' '"x"'
set s.yaml '["a"]' canary
set s.yaml '["a"]' '["canary"]'
set s.yaml '["a"]' '{"x": 1'
set s.yaml '["a"]' '1 2'
set s.yaml '["a"]' -1e3
set s.yaml '["a"]' ''
set s.yaml '' 1
set s.yaml a 1
set s.yaml '[]' 1
set s.yaml '["a"]'
set s.yaml
set
set s.yaml '["a"]' 1 2
set none.yaml '["a"]' 1
set plain.yaml '["a"]' 1
set foreign.yaml '["a"]' 1
set altered.yaml '["a"]' 1
set --ignore-mac altered.yaml '["a"]' 1
set s.yaml '["b"]["x"]' 1
set s.yaml '["b"][-1]' 1
set s.yaml '["sops"]' 1
set s.yaml '["sops"]["x"]' 1
set --value-file s.yaml '["a"]' none.json
set --value-stdin s.yaml '["a"]' 1
set --value-stdin s.yaml '["a"]'
set --value-stdin --value-file s.yaml '["a"]'
set --nonsense s.yaml '["a"]' 1
set s.env '["A"]' '{"x": 1}'
set s.env '["A"]["b"]' 1
set s.env '["sops_x"]' 1
set s.json '["a"]' 1e999
unset s.yaml '["a"]'
unset s.yaml '["none"]'
unset --idempotent s.yaml '["none"]'
unset s.yaml '["b"][9]'
unset --idempotent s.yaml '["b"][9]'
unset s.yaml '["b"]["x"]'
unset --idempotent s.yaml '["a"]["x"]'
unset s.yaml ''
unset s.yaml a
unset s.yaml
unset none.yaml '["a"]'
unset plain.yaml '["a"]'
filestatus s.yaml
filestatus plain.yaml
filestatus none.yaml
filestatus broken.yaml
filestatus empty.yaml
filestatus folder.yaml
filestatus
filestatus plain.txt
filestatus s.txt
filestatus s.env
filestatus plain.env
filestatus plain.ini
filestatus nomac.yaml
filestatus noversion.yaml
filestatus nokeys.yaml
filestatus entry.yaml
filestatus --input-type json s.yaml
exec-env s.env
exec-env
exec-env none.env true
exec-env plain.env true
exec-env foreign.yaml true
exec-env s.env true x
exec-env --nonsense s.env true
exec-file s.yaml
exec-file
exec-file none.yaml true
exec-file foreign.yaml true
rotate s.yaml
rotate none.yaml
rotate
rotate --add-age AGE none.yaml
rotate --add-age nonsense s.yaml
rotate plain.yaml
rotate -i --output x s.yaml
rotate altered.yaml
rotate foreign.yaml
--config rule.yaml updatekeys
updatekeys s.yaml
--config norule.yaml updatekeys -y s.yaml
--config rule.yaml updatekeys -y s.yaml
--config rule.yaml updatekeys -y none.yaml
--config rule.yaml updatekeys -y plain.yaml
--config rule.yaml updatekeys -y foreign.yaml
encrypt --pgp PGP plain.yaml
encrypt --pgp nonsense plain.yaml
encrypt --kms KMS plain.yaml
encrypt --kms nonsense plain.yaml
encrypt --gcp-kms nonsense plain.yaml
encrypt --azure-kv nonsense plain.yaml
encrypt --hc-vault-transit TRANSIT plain.yaml
encrypt --age AGE --pgp PGP plain.yaml
encrypt --age PLUGIN plain.yaml
edit --pgp PGP none.yaml
edit --kms KMS none.yaml
edit --gcp-kms nonsense none.yaml
edit --azure-kv nonsense none.yaml
edit --hc-vault-transit TRANSIT none.yaml
edit --hc-vault-transit nonsense none.yaml
edit --age PLUGIN none.yaml
edit --age age1nonsense none.yaml
rotate --add-pgp PGP s.yaml
rotate --add-kms KMS s.yaml
rotate --add-hc-vault-transit TRANSIT s.yaml
rotate --add-age PLUGIN s.yaml
--config pgp.yaml encrypt plain.yaml
--config pgp.yaml updatekeys -y s.yaml
--config kms.yaml updatekeys -y s.yaml
--config transit.yaml updatekeys -y s.yaml
-d s.yaml
-d none.yaml
-d plain.yaml
-d
-d -i --output x s.yaml
-d --extract a s.yaml
-decrypt s.yaml
--decrypt=true s.yaml
--d s.yaml
-d --in-place=false s.yaml
-d s.yaml plain.yaml
-e plain.yaml
-e --age AGE plain.yaml
-e -age AGE plain.yaml
-e none.yaml
-e --age AGE s.yaml
-r s.yaml
-r none.yaml
-r -i s.yaml
-r --add-age AGE none.yaml
--set '["a"] "x"' s.yaml
--set '["a"]' s.yaml
--set '["a"] canary' s.yaml
--set 'a "x"' s.yaml
--set '["a"] "x"' none.yaml
--set '["a"] "x"' plain.yaml
--add-age AGE none.yaml
--nonsense s.yaml
--disable-version-check -d s.yaml
--enable-local-keyservice -d s.yaml
--enable-local-keyservice=false -d s.yaml
EDITOR=true s.yaml
EDITOR="sed -i s/canary/w/" s.yaml
EDITOR=true none.yaml
EDITOR="sed -i s/example_value/w/" --age AGE none.yaml
publish s.yaml
"""
"""Command lines, environment first; AGE is the recipient. Where sops itself panics, its exit code is 2, and so is ours."""

UNUSABLE = {
    "PGP": "85D77543B3D624B63CEA9E6DBC17301B491B3F21",
    "KMS": "arn:aws:kms:us-east-1:000000000000:key/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "TRANSIT": "http://127.0.0.1:9/v1/transit/keys/k",
    "PLUGIN": "age1none10pu8s7rc0pu8s7rc8ff8ue",
}
"""Recipients that nothing can be wrapped for: in no keyring, on servers that do not answer, of a plugin that is not there."""
NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_MAX_ATTEMPTS": "1",
    "VAULT_TOKEN": "x",
    "VAULT_MAX_RETRIES": "0",
}


@dataclass
class Files:
    """What the cases work on, made once, with the key that it is encrypted for."""

    recipient: str = ""
    identity: str = ""
    data: dict[str, bytes] = field(default_factory=dict[str, bytes])


@pytest.fixture(scope="module")
def made() -> Files:
    return Files()


@pytest.fixture
def folder(shell: Shell, made: Files) -> Path:
    if not made.data:
        made.recipient, made.identity, made.data = shell.recipient, shell.identity, _files(shell)
    shell.recipient = made.recipient
    for name, value in NOWHERE.items() | {("SOPS_AGE_KEY", made.identity)}:
        shell.env(name, value)
    for path in shell.folder.iterdir():
        path.unlink()
    for name, data in made.data.items():
        shell.write(name, data)
    (shell.folder / "folder.yaml").mkdir()
    return shell.folder


def _files(shell: Shell) -> dict[str, bytes]:
    plain = {
        "plain.yaml": PLAIN,
        "plain.json": '{"a": "canary"}',
        "plain.env": "A=canary\n",
        "plain.ini": "[a]\nb=canary\n",
        "plain.txt": "canary",
        "broken.yaml": "canary: [canary\n",
        "broken.json": '{"canary": ',
        "broken.env": "canary\n",
        "list.yaml": "- canary\n",
        "keys.yaml": "1: canary\n",
        "empty.yaml": "",
        "entry.yaml": "a: canary\nsops: text\n",
        "nokeys.yaml": "a: b\nsops:\n    mac: x\n    version: 3.13.3\n    lastmodified: '2024-01-01T00:00:00Z'\n",
        "norule.yaml": "creation_rules:\n  - path_regex: ^none$\n    age: RECIPIENT\n",
        "rule.yaml": "creation_rules:\n  - age: RECIPIENT\n",
        "pgp.yaml": f"creation_rules:\n  - age: RECIPIENT\n    pgp: {UNUSABLE['PGP']}\n",
        "kms.yaml": f"creation_rules:\n  - age: RECIPIENT\n    kms: {UNUSABLE['KMS']}\n",
        "transit.yaml": f"creation_rules:\n  - age: RECIPIENT\n    hc_vault_transit_uri: {UNUSABLE['TRANSIT']}\n",
        "two.yaml": "creation_rules:\n  - age: RECIPIENT\n    encrypted_regex: a\n    encrypted_suffix: b\n",
    }
    files = {name: text.replace("RECIPIENT", shell.recipient).encode() for name, text in plain.items()}
    for name, text in plain.items():
        if name.startswith("plain."):
            shell.write(name, text)
            files[f"s{name.removeprefix('plain')}"] = shell.sops("encrypt", "--age", shell.recipient, name).out
    foreign = shell.agent("keygen", "-o", "foreign.txt").err.split()[-1]
    files["foreign.yaml"] = shell.sops("encrypt", "--age", foreign, "plain.yaml").out
    text = files["s.yaml"].decode()
    edits: dict[str, Callable[[str], str]] = {
        "nomac": lambda text: re.sub(r"\n    mac: .*", "", text),
        "altered": lambda text: text.replace('lastmodified: "20', 'lastmodified: "19'),
        "moved": lambda text: text.replace("k: ENC", "kk: ENC"),
        "clear": lambda text: re.sub(r"k: ENC\[.*", "k: v", text),
        "gone": lambda text: re.sub(r"    - ENC\[.*\n", "", text, count=1),
        "noversion": lambda text: re.sub(r"    version: .*\n", "", text),
        "badversion": lambda text: re.sub(r"    version: .*\n", "    version: x\n", text),
        "badtime": lambda text: re.sub(r"lastmodified: .*\n", "lastmodified: x\n", text),
    }
    return files | {f"{name}.yaml": edit(text).encode() for name, edit in edits.items()}


@pytest.mark.parametrize("case", CASES.split("\n")[1:-1])
def test_the_exit_code_is_that_of_sops(shell: Shell, folder: Path, case: str) -> None:
    words = shlex.split(case)
    while "=" in words[0] and words[0][0].isupper():
        name, _, value = words.pop(0).partition("=")
        shell.env(name, value or None)
    recipients = {"AGE": shell.recipient, **UNUSABLE}
    words = [recipients.get(word, word) for word in words]
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    theirs = shell.sops(*words)
    for path in folder.iterdir():
        if path.is_file() and path.name not in before:
            path.unlink()
    for name, data in before.items():
        shell.write(name, data)
    ours = shell.agent(*words)
    assert ours.code == theirs.code, (theirs.err, ours.err)
    assert "canary" not in ours.err
    assert "internal error" not in ours.err
    if ours.code:
        assert ours.out == b"" or "updatekeys" in words
        assert {name: (folder / name).read_bytes() for name in before} == before
        assert sum(path.is_file() for path in folder.iterdir()) == len(before)
