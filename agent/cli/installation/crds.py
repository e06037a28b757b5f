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
    parser.add_argument(
        "-o", "--output", choices=("yaml", "json"), help="default: YAML for the definition, JSON for a schema"
    )
    parser.add_argument(
        "--schema", choices=("application", "operator"), help="print the JSON Schema of this file instead"
    )


def run(args: argparse.Namespace) -> int:
    from agent.api import crd, schema

    if args.schema is not None:
        made = schema.application() if args.schema == "application" else schema.operator()
        terminal.write_data(made, args.output or "json")
    elif args.output == "json":
        terminal.write_data(crd.definition(), "json")
    else:
        terminal.write_text(crd.text())
    return 0
