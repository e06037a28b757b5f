"""An agent that serves nothing yet does without what Applications and their keys need: it takes memory, and a part of the start."""

from __future__ import annotations

import subprocess
import sys

LATER = {
    *(
        "botocore",
        "cronsim",
        *("cryptography.hazmat.primitives.asymmetric.rsa", "cryptography.hazmat.primitives.ciphers"),
        "cryptography.hazmat.primitives.serialization",
        "cryptography.x509",
        "git",
        "gitdb",
        "gnupg",
        "google",
        "hvac",
        "kubernetes",
        "pyrage",
        "re2",
        "requests",
        "tarfile",
    ),
    *("http.cookiejar", "agent.cli.applications", "agent.cli.cluster"),
    *("agent.desired.compiler", "agent.engine.pipeline"),
}
LOADED = """
import sys
import agent.cli.installation.run, agent.daemon.logs, agent.daemon.process, agent.daemon.settings
print(*sys.modules)
"""


def test_an_agent_loads_what_applications_need_with_the_first() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "agent.daemon.wiring" in loaded
    assert {name for name in LATER for module in loaded if f"{module}.".startswith(f"{name}.")} == set()
