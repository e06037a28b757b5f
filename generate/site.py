"""Build the site of the documentation: `python -m generate.site`. The result is in build/site.

Its pages are the repository's own, at their own paths, with the files that they link to beside them. Every relative link has to
lead to a file; zensical checks links to pages, their anchors included. Nothing is built while nothing has changed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[1]
_PAGES: Final = ("*.md", "docs/**/*.md", "deploy/*.md", "examples/*/*.md", "keys/*.md")
_CONFIGURATION: Final = "zensical.toml"
_LINK: Final = re.compile(r"(?<!`)\]\((?P<target>[^()\s]+)\)")
_CODE: Final = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def sources(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Path in the site → file, and what is wrong: links without a file, pages of docs/ that no menu leads to."""
    pages = [path for pattern in _PAGES for path in sorted(root.glob(pattern))]
    found = {path.relative_to(root).as_posix(): path for path in pages}
    wrong: list[str] = []
    for page in pages:
        for name in _links(page.read_text("utf-8")):
            target = (page.parent / name).resolve()
            if target.is_file() and target.is_relative_to(root):
                found[target.relative_to(root).as_posix()] = target
            else:
                wrong.append(f"{page.relative_to(root)}: no such file: {name}")
    menu = (root / _CONFIGURATION).read_text("utf-8")
    names = [f"docs/{page.name}" for page in root.glob("docs/*.md")]
    wrong.extend(f"{name}: not in the menu of {_CONFIGURATION}" for name in names if f'"{name}"' not in menu)
    return found, wrong


def _links(text: str) -> list[str]:
    targets = [match["target"].partition("#")[0] for match in _LINK.finditer(_CODE.sub("``", text))]
    return [target for target in targets if target and "://" not in target]


def stage(found: dict[str, Path], folder: Path) -> bool:
    """Make `folder` hold exactly these files. Whether anything had to be done."""
    changed = False
    for path in [each for each in folder.rglob("*") if each.is_file()]:
        if path.relative_to(folder).as_posix() not in found:
            path.unlink()
            changed = True
    for name, path in found.items():
        target = folder / name
        if not target.is_file() or target.read_bytes() != path.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            _ = shutil.copyfile(path, target)
            changed = True
    return changed


def main() -> int:
    """Exit code 1 where a link leads nowhere or the site cannot be built."""
    found, wrong = sources(_ROOT)
    if wrong:
        sys.stdout.write("".join(f"{line}\n" for line in wrong))
        return 1
    configuration = (_ROOT / _CONFIGURATION).read_text("utf-8")
    project = tomllib.loads(configuration)["project"]
    built = _ROOT / project["site_dir"] / "built"
    current = built.is_file() and built.read_text("utf-8") == configuration
    if not stage(found, _ROOT / project["docs_dir"]) and current:
        return 0
    built.unlink(missing_ok=True)
    program = Path(sys.executable).with_name("zensical")
    done = subprocess.run([program, "build", "--strict"], cwd=_ROOT, check=False)  # noqa: S603  # a program of the lock
    if done.returncode == 0:
        _ = built.write_text(configuration, "utf-8")
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
