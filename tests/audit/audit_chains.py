"""An audit chain as tests write it, and how they judge it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.adapters.audit import credential, trail, verify
from agent.engine.ports import AuditEntry
from agent.values.ids import ApplicationId, ObjectId, Revision
from agent.values.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from agent.adapters.audit.anchor import Anchor

SIGNER = credential.Signer(Secret(b"k" * 32, "test:audit"))
KEYS = credential.public_keys(SIGNER.public_pem)
OTHER = credential.Signer(Secret(b"o" * 32, "test:other"))

ENTRY = AuditEntry(
    phase="intent",
    run="0123456789abcdef",
    cause="git",
    application=ApplicationId("shop", "web", "uid-1"),
    revision=Revision("a" * 40, "main", "Dev <dev@example.com>", 0),
    action="apply",
    object=ObjectId("", "Secret", "shop", "db"),
    fields=("data.password",),
    fingerprints={"data.password": "fp:001122334455"},
    secrets=("vault:main/secret/shop#password@7",),
)


class Kept:
    """Where anchors go."""

    anchor: Anchor | None = None

    async def __call__(self, anchor: Anchor) -> None:
        self.anchor = anchor


async def opened(path: Path | None, kept: Kept, *, stream: int | None = None, signer=SIGNER) -> trail.AuditTrail:
    return await trail.open_trail(
        agent="agent-0",
        signer=signer,
        clock=lambda: 1_800_000_000.25,
        keep=kept,
        file=path,
        stream=stream,
        anchor=kept.anchor,
    )


async def write_runs(path: Path, kept: Kept, runs: int = 3, each: int = 4, tail: int = 0) -> None:
    audit = await opened(path, kept)
    for _ in range(runs):
        await audit.write([replace(ENTRY, action=f"apply-{number}") for number in range(each)])
        await audit.checkpoint(ENTRY.run)
    if tail:
        await audit.write([ENTRY] * tail)
    await audit.close()


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def judge(lines: list[bytes], anchor: Anchor | None = None, keys=KEYS) -> verify.Report:
    return verify.verify(lines, keys, anchor)


def kinds(report: verify.Report) -> list[tuple[str, int, int]]:
    return [(finding.kind, finding.first, finding.last) for finding in report.findings]
