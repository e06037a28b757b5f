"""`agent verify`: are encrypted files sound, for whom are they, and, with a key, are they what was encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from agent.cli import exit_codes, flags, terminal
from agent.cli.errors import FileMissingError
from agent.cli.files import file_types, rules, trees
from agent.cli.files.trees import Done
from agent.cli.keys import encryption, key_sources
from agent.cli.keys.key_sources import Access
from agent.cli.secrets import plaintext_secrets
from agent.sops import stores
from agent.sops.files import conflicts, decrypt, parts, verify
from agent.sops.format import cipher, stripped
from agent.sops.format.groups import in_order
from agent.sops.format.keys import kind_of, name_of
from agent.values.dataclass import dataclass, field
from agent.values.errors import (
    AgentError,
    InputError,
    MacMismatchError,
    NoRuleError,
    SopsError,
    SopsFormatError,
    UnsoundFileError,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.cli.files.trees import Found, Result
    from agent.sops.files.decrypt import EncryptedFile
    from agent.sops.files.parts import Part
    from agent.sops.format.groups import WrappedDataKey
    from agent.sops.format.keys import WrappedKey
    from agent.sops.rules.config import Rules
    from agent.sops.stores import Store
    from agent.yaml.nodes import Mapping

_EXAMPLES = """\
examples:
  agent verify secrets/                                 with your key where it opens them, else without
  agent verify --offline .                              without any key: what CI can check in a pull request
  agent verify --require-mac 'envs/**/*.yaml'           and fail where no key is available to verify the MAC

Without a key it checks that the file parses, that exactly the values that its rule selects are encrypted, that there is a MAC, that its
key groups can open it, and that its recipients are those of .sops.yaml. With a key it also verifies the MAC: no text of a value was altered,
added or removed, and no encrypted one has another key. Clear values may still have been swapped, and nulls, empty texts, maps and lists added:
a warning names them. Types, and to which item of a list an encrypted value belongs, may have changed.
Another warning names Kubernetes Secrets in the clear, also in files that were never encrypted. Warnings do not change the exit code.

Exit codes: 0 all sound; 51 altered, or no MAC; 25 a value does not open; 1 anything else that was found; 128 with --require-mac, no key;
2 and 100 files that cannot be read. Of several files the first that is not sound decides.
"""
Mac = Literal["verified", "mismatch", "not verified", "none"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Check encrypted files without changing or showing anything of them."
    parser.epilog = _EXAMPLES
    parser.add_argument("files", nargs="*", metavar="file", help="files, folders or quoted globs")
    asking = parser.add_mutually_exclusive_group()
    asking.add_argument("--offline", "--no-key", action="store_true", help="ask no key, gpg agent or server")
    asking.add_argument("--require-mac", action="store_true", help="fail where no key is available to verify the MAC")
    file_types.add_input_option(parser)
    key_sources.add_order_option(parser)
    trees.add_report_option(parser)
    rules.add_option(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    if not args.files:
        raise FileMissingError("no file named", hint="name files, folders or quoted globs")
    work = _Verifying(args, rules.load(args.config), encryption.Keys(flags.typed(Access, args)))
    results = list(trees.each(args.files, work, write=False))
    return _report(args, results, work.verdicts)


@dataclass(slots=True)
class Verdict:
    """What was found of a file."""

    errors: list[SopsError] = field(default_factory=list["SopsError"])
    warnings: list[AgentError] = field(default_factory=list["AgentError"])
    mac: Mac = "not verified"
    mac_cause: AgentError | None = None
    recipients: tuple[tuple[str, ...], ...] = ()
    opened_by: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """That of the first error, an altered file before all."""
        altered = [error for error in self.errors if isinstance(error, MacMismatchError)]
        return next((exit_codes.of(error) for error in [*altered, *self.errors]), 0)


@dataclass(frozen=True, slots=True)
class _Verifying:
    args: argparse.Namespace
    config: Rules | None
    keys: encryption.Keys
    verdicts: dict[str, Verdict] = field(default_factory=dict[str, Verdict])

    def __call__(self, found: Found, data: bytes) -> Done | None:
        store = stores.of(found.file, self.args.input_type)
        if not found.named and not file_types.looks_encrypted(data, store):
            return self._stripped(found, data, store) or self._in_clear(found, data, store)
        try:
            documents = store.parse(data, file=found.file)
            several = parts.of(documents, file=found.file)
        except InputError as error:
            raise conflicts.explained(error, data, file=found.file) from None
        verdict = Verdict()
        if all(part.metadata is None for part in several):
            if (error := _cut_out(documents)) is None:
                raise SopsFormatError("the file has no sops metadata", hint="it is not encrypted", file=found.file)
            verdict.errors.append(error)
        else:
            self._verify_parts(found.file, several, verdict)
            encrypted = [part for part in several if part.metadata is not None]
            verdict.warnings += plaintext_secrets.private_keys(data, file=found.file)
            verdict.warnings += plaintext_secrets.among(documents, file=found.file)
            verdict.warnings += plaintext_secrets.unbound(encrypted, file=found.file)
        return self._done(found, verdict)

    def _verify_parts(self, file: str, several: Sequence[Part], verdict: Verdict) -> None:
        """Each by its own metadata; what is found of one of several is found at the line where it begins."""
        found: list[Verdict] = []
        selection = next(part.metadata.selection for part in several if part.metadata is not None)
        for part in several:
            if part.metadata is not None:
                own = Verdict()
                self._verify(decrypt.EncryptedFile(file, part.documents, part.metadata), own)
                found.append(own)
                at = {"line": part.line} if len(several) > 1 else {}
                verdict.errors += [error.with_facts(**at) for error in own.errors]
                verdict.warnings += [error.with_facts(**at) for error in own.warnings]
            elif (error := verify.in_clear(part, selection, file=file)) is not None:
                verdict.warnings.append(error)
        states: tuple[Mac, ...] = ("mismatch", "not verified", "verified")
        verdict.mac = next(state for state in states if any(own.mac == state for own in found))
        verdict.mac_cause = next((own.mac_cause for own in found if own.mac_cause is not None), None)
        verdict.recipients = tuple(dict.fromkeys(group for own in found for group in own.recipients))
        verdict.opened_by = tuple(dict.fromkeys(name for own in found for name in own.opened_by))

    def _stripped(self, found: Found, data: bytes, store: Store) -> Done | None:
        """A file of a folder that has no metadata: none of ours, unless it was cut out."""
        if store.single or cipher.PREFIX.encode() not in data:
            return None
        try:
            error = _cut_out(store.parse_plain(data, file=found.file))
        except AgentError:
            # A template or a page about SOPS: nothing that anybody could have encrypted.
            return None
        return self._done(found, Verdict([error])) if error is not None else None

    def _in_clear(self, found: Found, data: bytes, store: Store) -> Done | None:
        """A file that was never encrypted, and should have been."""
        warnings = plaintext_secrets.of(data, store, file=found.file)
        if not warnings:
            return None
        self.verdicts[found.file] = Verdict(warnings=list(warnings), mac="none")
        return Done("in the clear")

    def _done(self, found: Found, verdict: Verdict) -> Done:
        self.verdicts[found.file] = verdict
        return Done("unsound" if verdict.errors else "sound")

    def _verify(self, encrypted: EncryptedFile, verdict: Verdict) -> None:
        wrapped = encrypted.metadata.data_key
        verdict.recipients = tuple(tuple(_named(key) for key in group) for group in wrapped.groups)
        findings = verify.structure(encrypted)
        if not findings.errors and not self.args.offline:
            self._verify_mac(encrypted, verdict)
        beside = self._beside_rule(encrypted)
        verdict.errors += findings.errors + beside.errors
        verdict.warnings += findings.warnings + beside.warnings

    def _verify_mac(self, encrypted: EncryptedFile, verdict: Verdict) -> None:
        try:
            data_key = self.keys.data_key(encrypted.metadata.data_key, file=encrypted.file)
        except AgentError as error:
            verdict.mac_cause = error
            if self.args.require_mac:
                raise
            return
        verdict.opened_by = self._opened_by(encrypted.metadata.data_key)
        try:
            decrypt.decrypt(encrypted, data_key)
        except SopsError as error:
            verdict.errors.append(error)
            verdict.mac = "mismatch" if isinstance(error, MacMismatchError) else "not verified"
        else:
            verdict.mac = "verified"

    def _opened_by(self, wrapped: WrappedDataKey) -> tuple[str, ...]:
        opened = self.keys.opened
        return tuple(_named(key) for group in wrapped.groups for key in in_order(group, ()) if key in opened)

    def _beside_rule(self, encrypted: EncryptedFile) -> verify.Findings:
        try:
            rule = rules.rule_at(self.config, encrypted.file)
        except NoRuleError as error:
            return verify.Findings(warnings=[error])
        return verify.against_rule(encrypted, rule) if rule is not None else verify.Findings()


def _cut_out(documents: Sequence[Mapping]) -> UnsoundFileError | None:
    line = stripped.encrypted_line(documents)
    if line is None:
        return None
    return UnsoundFileError(
        "an encrypted value in a file without sops metadata",
        hint="restore the sops entry of the file; without it no one can decrypt",
        line=line,
    )


def _named(key: WrappedKey) -> str:
    return f"{kind_of(key)} {name_of(key)}"


def _report(args: argparse.Namespace, results: Sequence[Result], verdicts: dict[str, Verdict]) -> int:
    code = 0
    for result in results:
        own = exit_codes.of(result.error) if result.error is not None else verdicts[result.file].exit_code
        code = code or own
    if args.report != "table":
        lines = [_line(result, verdicts.get(result.file)) for result in results]
        terminal.write_data({"files": lines, "exit_code": code}, args.report)
        return code
    rows = [_row(result, verdicts.get(result.file)) for result in results]
    terminal.table(("FILE", "RESULT", "MAC", "KEYS"), rows)
    errors: list[AgentError] = []
    for result in results:
        verdict = verdicts.get(result.file) or Verdict()
        failed = [result.error] if result.error is not None else []
        errors += [*failed, *verdict.errors, *verdict.warnings]
        for error in [*failed, *verdict.errors]:
            terminal.line(str(error.with_facts(file=result.file)))
        for warning in verdict.warnings:
            terminal.warn(str(warning.with_facts(file=result.file)))
    if not results:
        terminal.line("no encrypted file")
    for hint in dict.fromkeys(error.hint for error in errors if error.hint):
        terminal.hint(hint)
    return code


def _row(result: Result, verdict: Verdict | None) -> tuple[str, ...]:
    if verdict is None:
        return result.file, result.result, "", ""
    keys = verdict.opened_by or tuple(name for group in verdict.recipients for name in group)
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    opened = "opened by " if verdict.opened_by else "for "
    shown = f"{opened}{keys[0]}{more}" if keys else ""
    return result.file, result.result, verdict.mac, shown


def _line(result: Result, verdict: Verdict | None) -> dict[str, object]:
    line: dict[str, object] = {"file": result.file, "result": result.result}
    if result.error is not None:
        return line | {"errors": [_finding(result.error)], "exit_code": exit_codes.of(result.error)}
    verdict = verdict or Verdict()
    line |= {
        "mac": verdict.mac,
        "errors": [_finding(error) for error in verdict.errors],
        "warnings": [_finding(error) for error in verdict.warnings],
        "recipients": verdict.recipients,
        "opened_by": verdict.opened_by,
        "exit_code": verdict.exit_code,
    }
    if verdict.mac_cause is not None:
        line["mac_cause"] = _finding(verdict.mac_cause)
    return line


def _finding(error: AgentError) -> dict[str, object]:
    facts = {name: fact if isinstance(fact, int) else str(fact) for name, fact in error.facts.items() if name != "file"}
    return {"reason": error.reason, "message": error.message, "hint": error.hint, **facts}
