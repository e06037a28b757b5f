"""The commands by name. A command's module is imported when it is called, so that the others cost it nothing."""

from __future__ import annotations

from agent.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`module` has `configure(parser)` and `run(args) -> int`; `usage_exit` is the exit code for flags that do not parse."""

    module: str
    help: str
    usage_exit: int = 2


SECRETS = {
    "encrypt": Command("agent.cli.secrets.encrypt", "encrypt a file of secrets, as sops does", 1),
    "decrypt": Command("agent.cli.secrets.decrypt", "decrypt a file, or one value of it", 1),
    "edit": Command("agent.cli.secrets.edit", "decrypt into an editor and encrypt what changed", 1),
    "set": Command("agent.cli.secrets.set", "set one value of an encrypted file", 1),
    "unset": Command("agent.cli.secrets.unset", "remove one value of an encrypted file", 1),
    "rotate": Command("agent.cli.secrets.rotate", "encrypt under a new data key, and optionally change recipients", 1),
    "updatekeys": Command("agent.cli.secrets.updatekeys", "make a file's keys those of .sops.yaml", 1),
    "groups": Command("agent.cli.secrets.groups", "add or delete a group of keys", 1),
    "exec-env": Command("agent.cli.secrets.exec_env", "run a command with the values in its environment", 1),
    "exec-file": Command("agent.cli.secrets.exec_file", "run a command with the plaintext as a file", 1),
    "filestatus": Command("agent.cli.secrets.filestatus", "show whether a file is encrypted", 1),
    "migrate": Command("agent.cli.migration.migrate", "turn SealedSecrets into files that SOPS encrypts", 1),
    "verify": Command("agent.cli.secrets.verify", "check encrypted files, with a key or without", 1),
    "resolve": Command("agent.cli.git.resolve", "resolve the conflicts of a merge", 1),
    "textconv": Command("agent.cli.git.textconv", "show an encrypted file to git diff", 1),
    "git-setup": Command("agent.cli.git.git_setup", "let Git merge and compare encrypted files by value", 1),
    "merge-driver": Command("agent.cli.git.merge_driver", "merge an encrypted file; Git runs this", 1),
    "keygen": Command("agent.cli.secrets.keygen", "make an age key", 1),
}
APPLICATIONS = {
    "render": Command("agent.cli.applications.render", "show what a folder of manifests merges to, secrets as labels"),
    "diff": Command("agent.cli.applications.diff", "compare a folder of manifests with the cluster"),
    "sync": Command("agent.cli.applications.sync", "ask the agent to reconcile an Application now"),
    "suspend": Command("agent.cli.applications.suspend", "stop everything for an Application"),
    "resume": Command("agent.cli.applications.resume", "go on with an Application that was suspended"),
    "recover": Command("agent.cli.applications.recover", "take over what earlier Applications applied"),
    "status": Command("agent.cli.applications.status", "show Applications, what failed and why"),
    "audit": Command("agent.cli.installation.audit", "verify and show the audit trail"),
}
INSTALLATION = {
    "run": Command("agent.cli.installation.run", "run the agent"),
    "install": Command("agent.cli.installation.install", "print or apply the manifests of the agent"),
    "uninstall": Command("agent.cli.installation.uninstall", "remove the agent, and say what stays"),
    "bootstrap": Command("agent.cli.installation.bootstrap", "make a tenant's first Application and what it needs"),
    "check": Command("agent.cli.installation.check", "check the cluster and the installation"),
    "known-hosts": Command(
        "agent.cli.installation.known_hosts", "print a Git server's host keys and their fingerprints"
    ),
    "crds": Command("agent.cli.installation.crds", "print the CustomResourceDefinitions"),
    "completion": Command("agent.cli.completion", "print completion for bash, zsh or fish"),
    "version": Command("agent.cli.installation.version", "print the version"),
}

GROUPS = (("Secrets in files", SECRETS), ("Applications", APPLICATIONS), ("Installation", INSTALLATION))
COMMANDS = SECRETS | APPLICATIONS | INSTALLATION
