"""`agent crds`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  agent crds | kubectl apply --server-side -f -     install, or bring up to date
  agent crds --schema operator > operator.schema.json
                                                    let an editor check the operator's file
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the CustomResourceDefinition of Application, or a JSON Schema for editors."
    parser.epilog = _EXAMPLES
    parser.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml", help="form of the definition")
    parser.add_argument(
        "--schema", choices=("application", "operator"), help="print the JSON Schema of this file instead"
    )


def run(args: argparse.Namespace) -> int:
    from agent.api import crd, schema

    if args.schema is not None:
        terminal.write_json(schema.application() if args.schema == "application" else schema.operator())
    elif args.output == "json":
        terminal.write_json(crd.definition())
    else:
        terminal.write_text(crd.text())
    return 0
