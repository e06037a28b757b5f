"""What the image holds: a list of programs, not of packages. Libraries follow from them, and all else of the distribution stays out."""

from __future__ import annotations

from typing import Final

PACKAGES: Final = "/opt/signet"
"""The virtual environment with the agent and its locked packages."""

PROGRAMS: Final = (
    "/usr/bin/python3.13",
    # git: its parts are one program, except for the helper of https
    "/usr/bin/git",
    "/usr/lib/git-core/git-remote-http",
    "/usr/lib/git-core/git-remote-https",
    # Git over SSH, signatures of commits, host keys
    "/usr/bin/ssh",
    "/usr/bin/ssh-keygen",
    "/usr/bin/ssh-keyscan",
    # PGP keys, signatures of commits
    "/usr/bin/gpg",
    "/usr/bin/gpg-agent",
    "/usr/bin/gpgconf",
    "/usr/bin/gpgv",
    # git starts ssh and its credential helper by a shell, and the agent sets the limits of its children by one
    "/usr/bin/dash",
    "/usr/bin/cat",
    "/usr/bin/env",
)
LOADED: Final = ("libgcc_s.so.1",)
"""Libraries that no program names, but that the C library loads when a thread is cancelled."""

FOLDERS: Final = ("/usr/lib/python3.13",)
"""Taken whole, except for what `UNUSED` names."""

AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Made by the package ca-certificates when it is installed."""
FILES: Final = (
    AUTHORITIES,
    "/etc/debian_version",
    "/etc/ssl/openssl.cnf",
    "/usr/lib/os-release",
)
LINKS: Final = {
    "/bin": "usr/bin",
    "/lib": "usr/lib",
    "/lib64": "usr/lib64",
    "/sbin": "usr/sbin",
    "/etc/os-release": "../usr/lib/os-release",
    "/usr/bin/python3": "python3.13",
    "/usr/bin/sh": "dash",
    "/usr/lib/ssl/openssl.cnf": "/etc/ssl/openssl.cnf",
    # where the ssl module looks for authorities
    "/usr/lib/ssl/cert.pem": AUTHORITIES,
}
EMPTY: Final = ("/dev", "/etc/signet", "/proc", "/run/signet", "/sys", "/usr/sbin", "/var/lib/signet")
"""Folders for what a runtime mounts."""
TEXTS: Final = {
    "/etc/passwd": """\
root:x:0:0:root:/root:/usr/sbin/nologin
signet:x:65532:65532:signet:/run/signet:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
""",
    "/etc/group": "root:x:0:\nsignet:x:65532:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

UNUSED: Final = (
    # of Python's own library: terminals, games, other databases, documentation, tests
    "lib/python3.13/_pydecimal.py",
    "lib/python3.13/curses/*",
    "lib/python3.13/dbm/*",
    "lib/python3.13/idlelib/*",
    "lib/python3.13/lib-dynload/_curses*",
    "lib/python3.13/lib-dynload/_dbm*",
    "lib/python3.13/lib-dynload/_gdbm*",
    "lib/python3.13/lib-dynload/_test*",
    "lib/python3.13/lib-dynload/xxlimited*",
    "lib/python3.13/pydoc_data/*",
    "lib/python3.13/test/*",
    "lib/python3.13/tkinter/*",
    "lib/python3.13/turtle*",
    "lib/python3.13/venv/*",
    # of the packages: models and calls for each kind of Kubernetes, which the agent has no use for (decision 1); only kubeconfigs are read
    "site-packages/kubernetes/aio/*",
    "site-packages/kubernetes/client/api/[!_]*",
    "site-packages/kubernetes/client/models/[!_]*",
    "site-packages/kubernetes/config/*_test.py",
    # sources and declarations that compiled modules were made of
    "site-packages/*.c",
    "site-packages/*.h",
    "site-packages/*.pxd",
    "site-packages/*.pxi",
    "site-packages/*.pyi",
    "site-packages/*.pyx",
    "site-packages/*/py.typed",
    "site-packages/*/tests/*",
    "site-packages/*/test/*",
    # scripts for a shell that the image has no use for
    "signet/bin/Activate.ps1",
    "signet/bin/activate*",
    "signet/.gitignore",
)
"""Patterns as of fnmatch, where `*` matches folders too; each begins behind a `/` of the path."""
