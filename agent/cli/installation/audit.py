"""`agent audit verify | show`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.cli import terminal
from agent.cli.errors import UsageError
from agent.values import system
from agent.values.errors import AuditError
from agent.values.ids import short
from agent.values.text import counted, escape

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import BinaryIO

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from agent.adapters.audit.anchor import Anchor
    from agent.adapters.audit.record import Content
    from agent.adapters.audit.verify import Report

_DESCRIPTION: Final = """\
verify says whether the records of an audit file are those that the agent wrote: nothing edited, removed, moved or cut off.
show lists records; it does not verify them.

exit codes of verify: 0 verified, 1 not, 2 it could not be tried
"""
_EXAMPLES: Final = """\
examples:
  kubectl get configmap -n signet-system signet-audit-AGENT -o json | agent audit verify audit.jsonl --anchor -
  agent audit verify audit.jsonl --public-key audit.pub -o json
  agent audit show audit.jsonl --application shop/web --object 'Secret shop/db'
"""
_COLUMNS: Final = ("SEQ", "TIME", "PHASE", "APPLICATION", "REVISION", "ACTION", "OBJECT", "RESULT", "DETAILS")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    commands = parser.add_subparsers(dest="action", required=True, metavar="verify | show")
    verify = commands.add_parser("verify", help="say whether a file was changed", usage_exit=2)
    verify.add_argument("file", type=Path, help="the audit file")
    verify.add_argument(
        "--anchor", metavar="FILE", help="the agent's ConfigMap signet-audit-<agent> as JSON; - is standard input"
    )
    verify.add_argument("--public-key", metavar="FILE", help="public keys to trust, in PEM, instead of the anchor's")
    verify.add_argument(
        "--chain-only",
        action="store_true",
        help="check the hashes alone, which anyone who can write the file can recompute",
    )
    terminal.output_option(verify)
    show = commands.add_parser("show", help="list records", usage_exit=2)
    show.add_argument("file", type=Path, help="the audit file")
    show.add_argument("--application", metavar="NAMESPACE/NAME", help="of this Application only")
    show.add_argument("--object", metavar="OBJECT", help="only this object, as shown in the OBJECT column")
    show.add_argument("--run", metavar="RUN", help="of this run only")
    terminal.output_option(show)


def run(args: argparse.Namespace) -> int:
    try:
        return _verify(args) if args.action == "verify" else _show(args)
    except AuditError as error:
        terminal.error(error)
        return 2


def _verify(args: argparse.Namespace) -> int:
    from agent.adapters.audit import record, verify

    if not (args.anchor or args.public_key or args.chain_only):
        raise UsageError(
            "nothing to verify against: give --anchor or --public-key",
            hint="kubectl get configmap -n signet-system signet-audit-AGENT -o json | agent audit verify FILE --anchor -",
        )
    anchor = _anchor(args.anchor) if args.anchor else None
    with _opened(args.file) as file:
        report = verify.verify(record.lines(file), _keys(args.public_key, anchor), anchor)
    if args.output != "table":
        terminal.write_data(_as_json(report), args.output)
    else:
        _print(report, anchored=anchor is not None)
    return 0 if report.verified else 1


def _print(report: Report, *, anchored: bool) -> None:
    findings = [
        (
            finding.kind,
            finding.line or "",
            finding.first if finding.first == finding.last else f"{finding.first}-{finding.last}",
            finding.message,
        )
        for finding in report.findings
    ]
    terminal.table(("FAULT", "LINE", "RECORDS", "WHAT"), findings)
    if findings:
        terminal.line(f"not verified: {counted(len(findings), 'fault')} in {counted(report.records, 'line')}")
        return
    terminal.line(
        f"verified: {counted(report.records, 'record')}, {counted(report.checkpoints, 'signed checkpoint')}, proven to record {report.proven}"
    )
    if report.unanchored:
        terminal.warn(
            f"{counted(report.unanchored, 'record')} after that, chained but not yet signed; a run that is under way or was killed leaves such a tail"
        )
    if report.torn:
        terminal.warn("the last line is half a record; the agent cuts it off when it starts")
    if not anchored:
        terminal.warn("without --anchor a tail that was cut off cannot be seen")


def _as_json(report: Report) -> dict[str, object]:
    return {
        "verified": report.verified,
        "records": report.records,
        "last": report.last,
        "checkpoints": report.checkpoints,
        "proven": report.proven,
        "unanchored": report.unanchored,
        "torn": report.torn,
        "findings": [
            {"kind": f.kind, "line": f.line, "first": f.first, "last": f.last, "message": f.message}
            for f in report.findings
        ],
    }


def _keys(path: str | None, anchor: Anchor | None) -> dict[str, Ed25519PublicKey] | None:
    from agent.adapters.audit import credential

    if path is not None:
        return credential.public_keys(_text(path))
    return credential.public_keys(anchor.public_key) if anchor is not None else None


def _anchor(path: str) -> Anchor:
    from agent.adapters.audit import anchor

    try:
        tree = json.loads(_text(path))
    except (ValueError, RecursionError):
        raise UsageError("the anchor is not JSON", file=path, hint="kubectl get configmap … -o json") from None
    return anchor.parse(tree)


def _show(args: argparse.Namespace) -> int:
    wanted = {"application": args.application, "object": args.object, "run": args.run}
    chosen = {name: escape(value) for name, value in wanted.items() if value is not None}
    with _opened(args.file) as file:
        records = [
            record for record in _records(file) if all(record.get(name) == value for name, value in chosen.items())
        ]
    if args.output != "table":
        terminal.write_data(records, args.output)
    else:
        terminal.table(_COLUMNS, [_row(record) for record in records])
    return 0


def _records(file: BinaryIO) -> Iterator[Content]:
    from agent.adapters.audit import record

    strange = 0
    for line in record.lines(file):
        fields = record.read(line.removesuffix(b"\n"))
        if fields is None:
            strange += 1
        else:
            yield fields
    if strange:
        terminal.warn(
            f"{counted(strange, 'line', 'is')} not as the agent wrote {'it' if strange == 1 else 'them'}, and left out; agent audit verify says more"
        )


def _row(record: Content) -> tuple[object, ...]:
    revision, facts = record.get("revision"), record.get("facts")
    details = [detail for name in ("fields", "secrets") for detail in _list(record, name)]
    details += [f"{name}={value}" for name, value in facts.items()] if isinstance(facts, dict) else []
    return (
        record.get("seq"),
        record.get("time", ""),
        record.get("phase", ""),
        record.get("application", ""),
        f"{revision.get('ref', '')}@{short(str(revision.get('commit', '')))}" if isinstance(revision, dict) else "",
        record.get("action", ""),
        record.get("object", ""),
        record.get("result", ""),
        ", ".join(details),
    )


def _list(record: Content, name: str) -> list[str]:
    value = record.get(name)
    return value if isinstance(value, list) else []


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError("the file cannot be read", file=str(path), cause=system.cause(error)) from None


def _text(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("the file cannot be read as text", file=path, cause=system.cause(error)) from None
