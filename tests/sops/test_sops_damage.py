"""Whatever happens to a file's bytes, what comes out is one of our errors, or the values that went in."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

import pytest
from sops_documents import DOCUMENTS, ours

from agent.sops import stores
from agent.sops.files import decrypt, sealed
from agent.sops.format import stripped
from agent.sops.format.groups import unwrap_data_key
from agent.sops.format.selection import Selection
from agent.sops.rules import config
from agent.values.errors import AgentError, SopsFormatError, YamlError

if TYPE_CHECKING:
    from conftest import Sops

TOKENS = [
    *(
        b"sops:",
        b": ",
        b"- ",
        b"\n",
        b"ENC[",
        b"type:time]",
        b"type:comment]",
        b"<<: ",
        b"&a ",
        b"*a ",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b'"',
        b"!!binary ",
        b"~",
        b"#",
        b"\xff",
        b"\x00",
        b"---\n",
        b"|",
        b"    encrypted_comment_regex: x\n",
        b"key_groups: []",
    ),
]


def damage(data: bytes, chance: random.Random) -> bytes:
    text = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text))
        match chance.randrange(4):
            case 0:
                text[at:at] = chance.choice(TOKENS)
            case 1:
                del text[at : at + chance.randint(1, 30)]
            case 2:
                text[at] = chance.randrange(256)
            case _:
                start = chance.randrange(len(text))
                text[at:at] = text[start : start + chance.randint(1, 80)]
    return bytes(text)


@pytest.mark.parametrize("name", ["comments.yaml", "manifest.yaml", "values.json"])
def test_damaged_files_end_in_our_errors(sops: Sops, name: str) -> None:
    data = ours(sops, DOCUMENTS[name], name, Selection("unencrypted_regex", "^(kind|a)$"))
    genuine = sealed.open_file(data, file=name)
    assert genuine is not None
    [part] = genuine.parts
    data_key = unwrap_data_key(part.metadata.data_key, sops.keys, file=name)
    values = list(sealed.unseal(part, data_key).values())
    chance = random.Random(20260101)
    for damaged in [damage(data, chance) for _ in range(250)]:
        with contextlib.suppress(AgentError):
            file = sealed.open_file(damaged, file=name)
            opened = [sealed.unseal(part, data_key) for part in file.parts] if file is not None else []
            assert all(secret in values for part in opened for secret in part.values())
        with contextlib.suppress(AgentError):
            decrypt.decrypt(decrypt.read(damaged, file=name, store=stores.of(name)), data_key)
        with contextlib.suppress(AgentError):
            config.parse(damaged, file=name).match("a")


def test_a_damaged_value_without_metadata_is_no_plaintext(sops: Sops) -> None:
    """Or the agent would apply it as it stands."""
    data = ours(sops, b"a: text\nb: [x]\n", "values.yaml", Selection())
    value = data[data.index(b"ENC[") : data.index(b"]\n") + 1]
    for at in range(len(value)):
        damaged = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
        for left in (damaged, value[: at + 4]):
            with pytest.raises((SopsFormatError, YamlError)):
                sealed.open_file(b"apiVersion: v1\nb: " + value + b"\na:\n- " + left + b"\n", file="values.yaml")
            assert stripped.was_encrypted(left.decode())
    assert not stripped.was_encrypted("ENC[PKCS7,MIIB]")
