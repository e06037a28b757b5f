"""Write what is made from the models and the manifests: `python -m generate [--check]`.

With `--check` nothing is written: it exits 1 and names the files that are not current.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.api import reference, schema
from generate import alerts, chart, dashboard, decisions, installation, renderer_errors

if TYPE_CHECKING:
    from agent.values.tree import Object

_ROOT: Final = Path(__file__).resolve().parents[1]


def files(root: Path) -> dict[str, str]:
    """Path below the repository's root → text."""
    return {
        **installation.files(),
        **chart.files(),
        **alerts.files(),
        "deploy/dashboard.json": _json(dashboard.of()),
        "docs/decisions/README.md": decisions.index(root / "docs" / "decisions"),
        "docs/reference/application.md": reference.application(),
        "docs/reference/operator.md": reference.operator(),
        "docs/reference/renderer-errors.md": renderer_errors.page(root),
        "docs/reference/application.schema.json": _json(schema.application()),
        "docs/reference/operator.schema.json": _json(schema.operator()),
    }


def _json(value: Object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Exit code 1 where `--check` finds a file that is not current."""
    parser = argparse.ArgumentParser(prog="python -m generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is not current")
    check = parser.parse_args().check
    stale = 0
    for name, text in files(_ROOT).items():
        path = _ROOT / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale += 1
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        sys.stdout.write(f"{'stale' if check else 'wrote'} {name}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
