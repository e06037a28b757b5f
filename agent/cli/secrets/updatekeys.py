"""`agent updatekeys`: a file's recipients become those of `.sops.yaml`.

As with sops, values, MAC and time stay. The threshold is that of the rule, where it has one; sops leaves the file's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.cli import flags, terminal
from agent.cli.errors import ConflictingFlagsError, FileMissingError, UsageError
from agent.cli.files import boundary, content, file_types, layout, rules, trees
from agent.cli.files.trees import Done
from agent.cli.keys import creation, encryption, key_sources, recipients
from agent.cli.keys.key_sources import Access
from agent.cli.secrets import rewrapping
from agent.sops import stores
from agent.sops.format import key_changes
from agent.sops.format.groups import Recipients
from agent.sops.format.keys import name_of
from agent.values.dataclass import dataclass
from agent.values.errors import SopsRulesError

if TYPE_CHECKING:
    import argparse

    from agent.cli.files.trees import Found
    from agent.sops.files.decrypt import EncryptedFile
    from agent.sops.format.key_changes import KeyChange
    from agent.sops.rules.config import Rules

_EXAMPLES = """\
examples:
  agent updatekeys secret.yaml                          shows what changes, and asks
  agent updatekeys -y secrets/ 'envs/**/*.yaml'         every encrypted file that the rules have other keys for
  agent updatekeys --check .                            for CI: exit 1 where a file's keys are not those of .sops.yaml; asks for no key
  agent updatekeys -y --rotate secret.yaml              where a recipient is removed, under a new data key

Without --rotate the data key stays, and the file with all its values; so does what a removed recipient knows.
"""
_RESULTS = {"up to date": "already up to date", "left unchanged": "left unchanged", "updated": "synced with new keys"}
"""What sops says of a file."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Make the keys of encrypted files those that .sops.yaml has for them."
    parser.epilog = _EXAMPLES
    trees.add_options(parser, check=True)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--rotate", action="store_true", help="a new data key and new ciphertexts where a recipient is removed"
    )
    rewrapping.add_options(parser)
    recipients.add_threshold_option(parser)
    rules.add_option(parser)
    key_sources.add_options(parser)


def run(args: argparse.Namespace) -> int:
    config = rules.load(args.config)
    if not args.files:
        raise FileMissingError("no file named")
    asked = flags.typed(trees.Asked, args)
    several = trees.several(asked)
    work = _Updating(args, flags.typed(layout.Style, args), encryption.Keys(flags.typed(Access, args)), config)
    if several:
        if args.report != "table" and not (args.yes or args.dry_run or args.check):
            raise ConflictingFlagsError("a report for programs asks no questions", hint="add -y, or --dry-run")
        return min(trees.run(asked, work), 1)
    file: str = args.files[0]
    if not os.path.exists(file):  # whatever text it is
        raise FileMissingError("no such file", file=file).in_case("general")
    done = work.updated(content.read(file), file)
    if done.data is not None:
        boundary.write(file, done.data, args.config)
    terminal.note(f"File {file} {_RESULTS[done.result]}")
    return 0


@dataclass(frozen=True, slots=True)
class _Updating:
    args: argparse.Namespace
    style: layout.Style
    keys: encryption.Keys
    config: Rules | None

    def __call__(self, found: Found, data: bytes) -> Done | None:
        """A file of a tree."""
        if not found.named and not file_types.looks_encrypted(data, stores.of(found.file, self.args.input_type)):
            return None
        return self.updated(data, found.file)

    def updated(self, data: bytes, file: str) -> Done:
        store = stores.of(file, self.args.input_type)
        reading = layout.Reading(self.style, data, store, store, file=file)
        encrypted = reading.encrypted()
        change = key_changes.between(encrypted.metadata.data_key.recipients, self._wanted(encrypted))
        if not change.any:
            return Done("up to date")
        terminal.note(f"Syncing keys for file {file}")
        self._show(change)
        if self.args.dry_run or self.args.check:
            # Reported without a private key; these bytes are never written.
            return Done("updated", b"")
        if not self.args.yes and not _confirmed():
            return Done("left unchanged")
        rotated = bool(self.args.rotate and change.gone)
        make = rewrapping.rotated if rotated else rewrapping.rewrapped
        result = make(
            self.keys,
            encrypted,
            change.after,
            reading.before,
            store=store,
            indent=layout.indent(self.style, self.config, store, file),
        )
        rewrapping.warn_of_gone(change, file, rotated=rotated)
        return Done("updated", result)

    def _wanted(self, encrypted: EncryptedFile) -> Recipients:
        """The rule's groups, with a threshold from the flag, the rule or, as far as there are groups, the file."""
        rule = rules.rule_at(self.config, encrypted.file)
        if rule is None:
            raise SopsRulesError(
                "no .sops.yaml has creation rules for it",
                hint="write one, or name it with --config",
                file=encrypted.file,
            )
        groups = rule.recipients.groups
        threshold = self.args.shamir_secret_sharing_threshold or rule.recipients.threshold
        threshold = threshold or min(encrypted.metadata.data_key.threshold, len(groups))
        return creation.checked(Recipients(groups, threshold), file=encrypted.file)

    def _show(self, change: KeyChange) -> None:
        # Programs that read the report find nothing else on the output.
        say = terminal.note if self.args.report != "table" else terminal.line
        say("The following changes will be made to the file's groups:")
        old, new = change.thresholds
        if old == new and old:
            say(f"shamir_threshold: {old}")
        elif old != new:
            for sign, threshold in (("+++", new), ("---", old)):
                if threshold:
                    say(f"{sign} shamir_threshold: {threshold}")
        for number, group in enumerate(change.groups, 1):
            say(f"Group {number}")
            for sign, names in (("   ", group.kept), ("+++", group.added), ("---", group.removed)):
                for each in names:
                    say(f"{sign} {name_of(each)}")


def _confirmed() -> bool:
    """Raises UsageError where no one answers."""
    while True:
        terminal.write_text("Is this okay? (y/n):")
        answer = content.read_answer()
        if not answer:
            raise UsageError("no answer to the question whether this is okay", hint="-y answers yes").in_case("general")
        if answer.strip() in {"y", "n"}:
            return answer.strip() == "y"
