"""`agent`, and `python -m agent`: the process begins here.

What loading modules makes stays to the end, and looking for garbage among it takes a fiftieth of a small file's time. `cli.main` has it
looked for again once the command is loaded.
"""

import gc
import sys

gc.disable()

from agent.cli.main import main  # noqa: E402  # see above

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
