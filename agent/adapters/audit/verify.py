"""Judge a chain. Pure: lines in, a report out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, LiteralString, TypeAlias

from agent.adapters.audit import credential, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from agent.adapters.audit.anchor import Anchor
    from agent.adapters.audit.record import Content

Kind: TypeAlias = Literal["edit", "removal", "reordering", "cut", "signature"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong. `line` counts from 1 (0: no line of its own), `first` and `last` are the records it is about."""

    kind: Kind
    line: int
    first: int
    last: int
    message: LiteralString


@dataclass(frozen=True, slots=True)
class Report:
    """What a chain proves.

    `proven` is the last record under a good signature or the anchor; `unanchored` the number of records after it, which are chained
    but could have been replaced by anyone who can write the file; `torn` says that the last line is half a record.
    """

    records: int
    last: int
    checkpoints: int
    proven: int
    unanchored: int
    torn: bool
    findings: tuple[Finding, ...]

    @property
    def verified(self) -> bool:
        """Whether nothing was changed, removed, moved or cut off."""
        return not self.findings


def verify(lines: Iterable[bytes], keys: Mapping[str, Ed25519PublicKey] | None, anchor: Anchor | None = None) -> Report:
    """Judge the lines of a file, each with its newline.

    `keys` are the public keys to believe, by id; None judges the chain alone, which anyone who can write the file can recompute.
    """
    chain = _Chain(keys, anchor)
    for number, line in enumerate(lines, 1):
        if line.endswith(b"\n"):
            chain.take(number, line[:-1])
        else:
            chain.torn = True
    return chain.report()


@dataclass(slots=True)
class _Chain:
    keys: Mapping[str, Ed25519PublicKey] | None
    anchor: Anchor | None
    torn: bool = False
    records: int = 0
    checkpoints: int = 0
    proven: int = 0
    expected: int = 1
    previous: str | None = record.START
    seen: set[int] = field(default_factory=set[int])
    gaps: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    findings: list[Finding] = field(default_factory=list[Finding])

    def take(self, number: int, line: bytes) -> None:
        """The next line, without its newline; `number` counts from 1."""
        self.records += 1
        fields = record.read(line)
        if fields is None:
            self._find("edit", number, self.expected, "the line differs from what the agent writes")
            self.seen.add(self.expected)
            self.expected += 1
            self.previous = None
            return
        head = record.head(fields)
        if head.seq < self.expected:
            moved = head.seq not in self.seen
            self._find(
                "reordering",
                number,
                head.seq,
                "the record comes after a later one" if moved else "the record is a duplicate",
            )
            self.seen.add(head.seq)
            return
        if head.seq > self.expected:
            self.gaps.append((number, self.expected, head.seq - 1))
        elif self.previous is not None and fields["prev"] != self.previous:
            self._find(
                "edit",
                number,
                head.seq,
                "the record does not match the hash of the previous one: one of them was rewritten",
            )
        self.seen.add(head.seq)
        self.expected, self.previous = head.seq + 1, head.hash
        self._anchored(number, head)
        if fields.get("phase") == record.CHECKPOINT:
            self._checkpoint(number, head.seq, fields)

    def report(self) -> Report:
        for number, first, last in self.gaps:
            self._removed(number, first, last)
        last = self.expected - 1
        if self.anchor is not None and self.anchor.seq > last:
            self.findings.append(
                Finding("cut", 0, last + 1, self.anchor.seq, "the file ends before the anchor: its tail was cut off")
            )
        findings = tuple(sorted(self.findings, key=lambda finding: (finding.first, finding.line)))
        unanchored = max(0, last - self.proven)
        return Report(self.records, last, self.checkpoints, self.proven, unanchored, self.torn, findings)

    def _find(self, kind: Kind, number: int, seq: int, message: LiteralString) -> None:
        self.findings.append(Finding(kind, number, seq, seq, message))

    def _removed(self, number: int, first: int, last: int) -> None:
        """Report the records of a gap that stand nowhere else."""
        start = first
        for seq in [*sorted(seq for seq in self.seen if first <= seq <= last), last + 1]:
            if seq > start:
                self.findings.append(Finding("removal", number, start, seq - 1, "records are missing before this line"))
            start = seq + 1

    def _anchored(self, number: int, head: record.Head) -> None:
        if self.anchor is None or head.seq != self.anchor.seq:
            return
        if head.hash == self.anchor.hash:
            self.proven = max(self.proven, head.seq)
        else:
            self._find(
                "edit",
                number,
                head.seq,
                "the record is not the one that was anchored: the chain up to it was rewritten",
            )

    def _checkpoint(self, number: int, seq: int, fields: Content) -> None:
        if self.keys is None:
            return
        self.checkpoints += 1
        name, signature = str(fields.get("key", "")), str(fields.get("signature", ""))
        if name not in self.keys:
            self._find("signature", number, seq, "the checkpoint is signed by a key that was not given")
        elif credential.is_signed(self.keys, name, signature, record.signed(fields)):
            self.proven = max(self.proven, seq)
        else:
            self._find(
                "edit", number, seq, "the checkpoint's signature does not match: the chain up to it was rewritten"
            )
