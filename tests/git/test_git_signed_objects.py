"""What was signed of a commit or tag: nothing outside the signature's reach, and no second signature beside it."""

from __future__ import annotations

import base64

import pytest

from agent.adapters.git import signed_objects
from agent.values.errors import SignatureError, UnsignedError

TREE, PARENT = b"tree " + b"1" * 40, b"parent " + b"2" * 40
BY = b"author D <d@example.com> 0 +0000\ncommitter D <d@example.com> 0 +0000"
HEAD = TREE + b"\n" + BY
PGP = b"-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----"


def commit(*headers: bytes, message: bytes = b"Change\n") -> bytes:
    return b"\n".join((HEAD, *headers)) + b"\n\n" + message


def header(signature: bytes, name: bytes = b"gpgsig") -> bytes:
    return name + b" " + signature.replace(b"\n", b"\n ")


def test_all_but_the_signature_is_signed() -> None:
    signed = signed_objects.of_commit(commit(header(PGP), b"encoding x", message=b"Change\n\ngpgsig in a message\n"))
    assert signed.payload == commit(b"encoding x", message=b"Change\n\ngpgsig in a message\n")
    assert signed.signature == PGP + b"\n"


def test_a_signature_in_the_message_is_none() -> None:
    with pytest.raises(UnsignedError):
        signed_objects.of_commit(commit(message=header(PGP)))


def ssh(blob: bytes) -> bytes:
    return b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(blob) + b"\n-----END SSH SIGNATURE-----"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ((header(PGP), header(PGP)), "signatures besides"),
        ((header(PGP), header(PGP, b"gpgsig-sha256")), "signatures besides"),
        ((header(PGP, b"gpgsig-sha256"),), "signatures besides"),
        ((header(b"-----BEGIN SIGNED MESSAGE-----\nMIIB\n-----END SIGNED MESSAGE-----"),), "can be verified"),
        ((header(ssh(b"")),), "cannot be read"),
        ((header(ssh(b"SSHSIG\0\0\0\2\0\0\0\3key")),), "cannot be read"),
        ((header(ssh(b"SSHSIG\0\0\0\1\xff\xff\xff\xffkey")),), "cannot be read"),
        ((header(ssh(b"SSHSIG\0\0\0\1\0\0\0\0")),), "cannot be read"),
        ((header(ssh(b"x")[:-30]),), "can be verified"),
    ],
)
def test_what_is_no_one_signature_is_refused(headers: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        signed_objects.of_commit(commit(*headers))


@pytest.mark.parametrize(
    "head",
    [
        b"\n".join((TREE, header(PGP), PARENT, BY)),
        b"\n".join((TREE, header(PGP), BY)),
        b"\n".join((TREE, BY, header(PGP), PARENT)),
        b"\n".join((TREE, BY, PARENT, header(PGP))),
        b"\n".join((PARENT, TREE, BY, header(PGP))),
        b"\n".join((TREE, PARENT[:-1], BY, header(PGP))),
    ],
)
def test_a_parent_that_git_does_not_see_is_refused(head: bytes) -> None:
    with pytest.raises(SignatureError, match="as Git writes one"):
        signed_objects.of_commit(head + b"\n\nChange\n")


def test_parents_before_the_author_are_signed() -> None:
    head = b"\n".join((TREE, PARENT, PARENT, BY))
    assert signed_objects.of_commit(head + b"\n" + header(PGP) + b"\n\nMerge\n").payload == head + b"\n\nMerge\n"


def test_a_signature_has_a_size() -> None:
    spaces = b"-----BEGIN SSH SIGNATURE-----\n" + b" " * 250_000
    with pytest.raises(SignatureError, match="signature is too long"):
        signed_objects.of_commit(commit(header(spaces)))


def test_of_a_tag_all_before_the_last_signature_is_signed() -> None:
    payload = b"object %s\ntype commit\ntag v1\n\nRelease\n" % (b"a" * 40)
    signed = signed_objects.of_tag(payload + PGP + b"\n" + PGP + b"\n", "a" * 40, "v1")
    assert signed is not None
    assert signed.payload == payload + PGP + b"\n"
    assert signed_objects.of_tag(payload + PGP, "b" * 40, "v1") is None
    assert signed_objects.of_tag(payload + PGP, "a" * 40, "v2") is None
    with pytest.raises(UnsignedError):
        signed_objects.of_tag(payload, "a" * 40, "v1")
