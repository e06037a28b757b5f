"""`agent git-setup`: makes Git merge and compare encrypted files by value.

Two places: the configuration, which says what `signet` is on this machine, and `.gitattributes`, which says for which files and is
committed. See gitattributes(5).
"""

from __future__ import annotations

import os
import shlex
import subprocess  # git
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.errors import ReadError, WriteError
from agent.cli.files import content, rules
from agent.gitmerge.attributes import globs
from agent.values import system
from agent.values.dataclass import dataclass
from agent.values.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

_EXAMPLES = """\
examples:
  agent git-setup                                       patterns as the rules of .sops.yaml have them
  agent git-setup 'secrets/*.yaml' '*.enc.env'          or these, as .gitattributes has them
  agent git-setup --plaintext-diffs                     git diff and git log -p show values in the clear
  agent git-setup --dry-run
  agent git-setup --remove

It sets merge.signet and diff.signet in Git's configuration, and writes .gitattributes beside .sops.yaml, to be committed. Everyone who
merges runs it once; without it, Git merges these files line by line as before.

git diff shows fingerprints of values by default, which show that a value changed but not what it is, since its output goes into files,
logs and web pages easily. Git is configured not to cache what it shows: it would store it in the repository.
"""
_ATTRIBUTES = "merge=signet diff=signet"
_PROGRAM = "agent"
_SCHEMES = (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user"))
_COMMANDS = {"merge.signet.driver": "merge-driver", "diff.signet.textconv": "textconv"}
_PRINTABLE = set(range(0x21, 0x7F)) - set(b'"\\')


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Let Git merge and compare encrypted files by value."
    parser.epilog = _EXAMPLES
    parser.add_argument("patterns", nargs="*", metavar="pattern", help="as in .gitattributes; else those of .sops.yaml")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--local", action="store_true", help="for this repository; the default")
    where.add_argument("--global", dest="everywhere", action="store_true", help="for all your repositories")
    parser.add_argument("--plaintext-diffs", action="store_true", help="git diff shows values in the clear")
    parser.add_argument("--no-textconv", action="store_true", help="git diff shows the ciphertext, as without this")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--remove", action="store_true", help="undo it")
    rules.add_option(parser)


def run(args: argparse.Namespace) -> int:
    setup = _Setup(args)
    top = _top()
    if top is None and not args.everywhere:
        raise ReadError("not in a work tree of Git", hint="run it in one, or with --global")
    settings = {} if args.remove else _settings(args)
    for name in ("merge.signet", "diff.signet"):
        if args.remove or (name == "diff.signet" and args.no_textconv):
            setup.forget(name)
    for name, value in settings.items():
        setup.configure(name, value)
    if settings:
        setup.repair(settings)
    if top is not None:
        setup.attributes(top)
    if not setup.changed:
        terminal.line("nothing to do")
    return 0


def _settings(args: argparse.Namespace) -> dict[str, str]:
    command = _command()
    settings = {
        "merge.signet.name": "values of files encrypted with SOPS",
        "merge.signet.driver": f"{command} merge-driver -- %O %A %B %P %L",
        # Of several common ancestors Git makes one, which must not hold conflict markers.
        "merge.signet.recursive": "binary",
    }
    if not args.no_textconv:
        shown = "" if args.plaintext_diffs else " --fingerprints"
        settings |= {"diff.signet.textconv": f"{command} textconv{shown} --", "diff.signet.cachetextconv": "false"}
    return settings


def _command() -> str:
    """How a shell starts this very program, in any folder and environment: its console script, by its absolute path.

    Git calls it in the work tree. `python -m agent.cli.main` would run what a hostile repository has at that path, and a name alone
    whatever `PATH` has there and then.
    """
    scripts = [Path(sys.argv[0])] if Path(sys.argv[0]).name == _PROGRAM else []
    scripts += [Path(sysconfig.get_path("scripts", scheme)) / _PROGRAM for scheme in _SCHEMES]
    found = next((each.absolute() for each in scripts if each.is_file() and os.access(each, os.X_OK)), None)
    if found is None:
        raise ConfigError(
            "the console script of this program is not found",
            hint="install it as a package, so that Git can call it by its path",
            script=_PROGRAM,
        )
    return shlex.quote(str(found))


@dataclass(slots=True)
class _Setup:
    args: argparse.Namespace
    changed: bool = False

    def configure(self, name: str, value: str) -> None:
        if _git(*self._config, "--get-all", name) != value:
            self._report(f"git config {name} {value}")
            if not self.args.dry_run:
                self._run(self._config, "--replace-all", name, value)

    def repair(self, settings: Mapping[str, str]) -> None:
        """Commands that an earlier version wrote elsewhere, which Git would go on to call: by name, or with the work tree's modules."""
        for scope in ("--local", "--worktree", "--global"):
            for name, command in _COMMANDS.items():
                before = _git("config", scope, "--get-all", name)
                if before is None or before in settings.values() or f" {command}" not in before:
                    continue
                wanted = settings["merge.signet.driver"]
                if command == "textconv":
                    shown = " --fingerprints" if "--fingerprints" in before else ""
                    wanted = f"{_command()} textconv{shown} --"
                if before != wanted:
                    self._report(f"git config {scope} {name} {wanted}")
                    if not self.args.dry_run:
                        self._run(("config", scope), "--replace-all", name, wanted)

    def forget(self, section: str) -> None:
        if _git(*self._config, "--get-regexp", f"^{section.replace('.', '[.]')}[.]") is not None:
            self._report(f"git config --remove-section {section}")
            if not self.args.dry_run:
                self._run(self._config, "--remove-section", section)

    @property
    def _config(self) -> tuple[str, str]:
        return "config", "--global" if self.args.everywhere else "--local"

    def _run(self, scope: tuple[str, str], *arguments: str) -> None:
        if _git(*scope, *arguments) is None:
            raise ConfigError("Git's configuration cannot be written", setting=arguments[1])

    def attributes(self, top: Path) -> None:
        """The lines of `.gitattributes`, where they are missing or to go."""
        folder, patterns = self._patterns(top)
        path = folder / ".gitattributes"
        if path.is_symlink():
            raise WriteError(
                ".gitattributes is a link, which Git does not follow",
                hint="put a file in its place",
                file=str(path),
            )
        before = content.read(str(path)) if path.exists() else b""
        lines = before.decode("utf-8", "surrogateescape").splitlines()
        if self.args.remove:
            kept = [line for line in lines if not line.endswith(f" {_ATTRIBUTES}")]
        else:
            wanted = [f"{_quoted(pattern)} {_ATTRIBUTES}" for pattern in patterns]
            kept = [*lines, *(line for line in dict.fromkeys(wanted) if line not in lines)]
        if kept == lines:
            return
        for sign, some, others in (("-", lines, kept), ("+", kept, lines)):
            for line in (line for line in some if line not in others):
                self._report(f"{path}: {sign} {line}")
        if not self.args.dry_run:
            content.write(str(path), "".join(f"{line}\n" for line in kept).encode("utf-8", "surrogateescape"))

    def _patterns(self, top: Path) -> tuple[Path, Sequence[str]]:
        """Where `.gitattributes` stands, and what for."""
        config = None if self.args.patterns else rules.load(self.args.config)
        if config is None:
            if not self.args.patterns and not self.args.remove:
                terminal.warn("there is no .sops.yaml: name the files, such as: agent git-setup 'secrets/*.yaml'")
            return top, self.args.patterns
        folder = Path(config.file).absolute().parent.resolve()
        if not folder.is_relative_to(top):
            terminal.warn("the .sops.yaml is not of this repository: name the files")
            return top, ()
        return folder, [] if self.args.remove else list(_of_rules(config.path_patterns))

    def _report(self, message: str) -> None:
        self.changed = True
        terminal.line(f"would do: {message}" if self.args.dry_run else message)


def _of_rules(patterns: Sequence[str]) -> Iterator[str]:
    for number, pattern in enumerate(patterns, 1):
        found = globs(pattern)
        if found is None:
            terminal.warn(
                f"rule {number} of .sops.yaml has no path_regex that .gitattributes can express: name its files"
            )
        else:
            yield from found


def _quoted(pattern: str) -> str:
    """A pattern as `.gitattributes` holds it: in quotes, as C has them, where there are blanks or other bytes."""
    data = os.fsencode(pattern)
    if all(byte in _PRINTABLE or byte == 0x5C for byte in data) and not pattern.startswith("#"):
        return pattern
    return '"' + "".join(chr(b) if b in _PRINTABLE or b == 0x20 else f"\\{b:03o}" for b in data) + '"'


def _top() -> Path | None:
    found = _git("rev-parse", "--show-toplevel")
    return Path(found) if found else None


def _git(*arguments: str) -> str | None:
    """What Git prints; None where it fails."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)  # noqa: S603, S607
    except OSError as error:
        raise ConfigError("git does not start", hint="is it installed?", cause=system.cause(error)) from None
    return os.fsdecode(done.stdout).removesuffix("\n") if done.returncode == 0 else None
