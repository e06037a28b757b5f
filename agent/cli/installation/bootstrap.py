"""`agent bootstrap`: the first Application of a tenant, and what it needs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.cli import terminal
from agent.cli.cluster.served import served
from agent.cli.errors import UsageError
from agent.cli.files import content
from agent.values.dataclass import dataclass
from agent.values.errors import AgentError, ConfigError
from agent.values.secret import Secret
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from agent.adapters.kubernetes.cluster import Cluster
    from agent.adapters.kubernetes.secrets import Secrets
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object

_DESCRIPTION = """\
Make a tenant's first Application and what it needs: the namespace with its ServiceAccount and rights, a key that is made for it and lives in
the cluster, the Git credential, and the Application. The recipient of the key is written into .sops.yaml of the work tree, so that you can
encrypt for it at once. What is there already stays as it is: run it again and nothing changes.

The key exists in the cluster alone, and with it all that only it can decrypt. So name a recovery recipient, whose private key you keep
elsewhere, or say --no-recovery.

With --platform the Application may install what the whole cluster has: CustomResourceDefinitions, ClusterRoles, namespaces, operators. Its account
then has every right, through the ClusterRole signet-platform, and everyone who may commit to its repository has these rights too.

It lists what it is going to make and asks; --yes does not ask. --export prints the manifests without secrets instead, and makes nothing.

exit codes: 0 done, 1 not confirmed, 2 bad flags, or the cluster could not be asked or refused something
"""
_EXAMPLES = """\
examples:
  agent bootstrap shop --url https://git.example.com/shop/deploy.git --recovery age1… --username ci --password-file token
  agent bootstrap shop --url git@git.example.com:shop/deploy.git --recovery age1… --ssh-key id_ed25519 --known-hosts known_hosts
  agent bootstrap shop --url https://git.example.com/shop/deploy.git --layers base,envs/prod --no-recovery --export
  agent bootstrap platform --platform --url https://git.example.com/platform/cluster.git --recovery age1…
"""
_DECIDING: Final = {names.AGENT_NAMESPACE, "kube-system"}
"""Namespaces in which tokens of accounts with more rights than a tenant's can be made."""
_KEY: Final = "sops-age"
_KEY_FILE: Final = "age.agekey"
_CREDENTIAL: Final = "git"
_MANAGER: Final = "signet-bootstrap"
_GRANT: Final = (
    "objects in other namespaces need a grant in the operator's file: "
    'destinations: [{{applicationNamespace: {namespace}, namespaces: ["*"]}}]'
)
_RULES: Final = """\
creation_rules:
- path_regex: \\.secret\\.yaml$
  encrypted_regex: ^(data|stringData)$
  age: {recipients}
"""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """`credential` is the data of the Secret with the Git credential; empty for a public repository."""

    name: str
    namespace: str
    url: str
    branch: str
    layers: tuple[str, ...]
    recovery: str
    rules: Path
    credential: Mapping[str, Secret]
    platform: bool

    def application(self) -> Object:
        source: Object = {"url": self.url, "revision": {"branch": self.branch}, "layers": list(self.layers)}
        if self.credential:
            source["credentials"] = {"secretName": _CREDENTIAL}
        spec: Object = {"source": source, "decryption": {"keys": [{"secretName": _KEY}]}}
        if self.platform:
            spec["destination"] = {"namespaces": ["*"]}
        return {
            "apiVersion": f"{names.GROUP}/{names.VERSION}",
            "kind": names.KIND,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": spec,
        }

    def surroundings(self) -> list[Object]:
        """The namespace, the account and its rights."""
        from agent.installation import objects

        return objects.platform(self.namespace) if self.platform else objects.tenant(self.namespace)


def configure(parser: argparse.ArgumentParser) -> None:
    from agent.cli.cluster import connection

    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.add_argument("name", metavar="NAME", help="of the Application")
    parser.add_argument("-n", "--namespace", default="", help="of the tenant; default: NAME")
    parser.add_argument("--url", required=True, help="of the Git repository, without user and password for https")
    parser.add_argument("--branch", default="main", help="default: %(default)s")
    parser.add_argument("--layers", default=".", help="folders, separated by commas (default: the whole repository)")
    key = parser.add_argument_group("key").add_mutually_exclusive_group(required=True)
    key.add_argument(
        "--recovery", metavar="RECIPIENT", default="", help="age recipient that can decrypt everything too"
    )
    key.add_argument("--no-recovery", action="store_true", help="the cluster's key alone decrypts")
    parser.add_argument(
        "--rules", type=Path, default=Path(".sops.yaml"), help="where the recipients are written (default: %(default)s)"
    )
    git = parser.add_argument_group("Git credential")
    git.add_argument("--username", default="", help="for https")
    git.add_argument("--password-file", type=Path, help="for https: password or token; - reads standard input")
    git.add_argument("--ca-file", type=Path, help="for https: PEM file of the authority that signed the server")
    git.add_argument("--ssh-key", type=Path, help="for SSH: private deploy key")
    git.add_argument("--known-hosts", type=Path, help="for SSH: see agent known-hosts")
    parser.add_argument("--platform", action="store_true", help="it may install what the whole cluster has: see above")
    parser.add_argument("--export", action="store_true", help="print the manifests, without secrets, and make nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    connection.add_options(parser)


def run(args: argparse.Namespace) -> int:
    if args.rules.is_symlink() and not args.rules.exists():
        raise UsageError(
            "the file for recipients is a link that leads nowhere",
            hint="the work tree's author may have chosen where it leads: remove it, or name another file by --rules",
            file=str(args.rules),
        )
    wanted = _Wanted(
        name=args.name,
        namespace=args.namespace or args.name,
        url=args.url,
        branch=args.branch,
        layers=tuple(args.layers.split(",")),
        recovery=args.recovery,
        rules=args.rules,
        credential=_credential(args),
        platform=args.platform,
    )
    if wanted.namespace in _DECIDING and not wanted.platform:
        raise UsageError(
            "who may write in this namespace may do everything in the cluster, and a tenant's Application could",
            hint="name another one by --namespace; for an Application that may do everything, say --platform",
            namespace=wanted.namespace,
        )
    if args.export:
        terminal.write_manifests([*wanted.surroundings(), wanted.application()])
        return 0
    try:
        return asyncio.run(_bootstrap(wanted, args))
    except AgentError as error:
        terminal.error(error)
        return 2


def _credential(args: argparse.Namespace) -> dict[str, Secret]:
    """By the keys of the Secret. Raises UsageError where one half of a credential is missing."""
    files = {
        "password": args.password_file,
        "ca.crt": args.ca_file,
        "identity": args.ssh_key,
        "known_hosts": args.known_hosts,
    }
    if bool(args.username) != bool(args.password_file):
        raise UsageError("--username and --password-file go together")
    if bool(args.ssh_key) != bool(args.known_hosts):
        raise UsageError(
            "--ssh-key and --known-hosts go together", hint="agent known-hosts HOST prints what belongs into the file"
        )
    found = {
        key: Secret(data.rstrip(b"\r\n") if key == "password" else data, f"file:{file}")
        for key, file in files.items()
        if file is not None and (data := content.read_stdin() if str(file) == "-" else content.read(str(file)))
    }
    return found | ({"username": Secret(args.username, "--username")} if args.username else {})


async def _bootstrap(wanted: _Wanted, args: argparse.Namespace) -> int:
    from agent.adapters.kubernetes.cluster import Access, Cluster
    from agent.adapters.kubernetes.secrets import Secrets
    from agent.cli.cluster import connection

    settings = connection.settings(args.kubeconfig, args.context)
    async with connection.session(settings) as session:
        cluster, secrets = Cluster(Access(session, lambda _: False)), Secrets(session)
        missing = [each for each in wanted.surroundings() if not await _exists(cluster, each)]
        needed = (_KEY, *((_CREDENTIAL,) if wanted.credential else ()))
        lacking = [name for name in needed if await secrets.read(wanted.namespace, name) is None]
        application = [] if await _exists(cluster, wanted.application()) else [wanted.application()]
        plan = [f"{each['kind']} {get_text(each, 'metadata', 'name')}" for each in (*missing, *application)]
        plan += [f"Secret {name}" for name in lacking]
        plan += [] if wanted.rules.exists() else [f"file {wanted.rules}"]
        for each in plan:
            terminal.line(f"create {each}")
        if wanted.platform:
            await _look_for_others(cluster, wanted, missing)
        if plan and not args.yes and not terminal.confirmed(f"create these for {wanted.namespace}?"):
            return 1
        for each in missing:
            await _create(cluster, each)
        recipient = await _recipient(secrets, wanted.namespace)
        if wanted.credential:
            _ = await secrets.ensure(wanted.namespace, _CREDENTIAL, lambda: wanted.credential)
        _write_rules(wanted, recipient)
        for each in application:
            await _create(cluster, each)
    terminal.line(f"recipient of {wanted.namespace}: {recipient}")
    if wanted.platform:
        terminal.hint(_GRANT.format(namespace=wanted.namespace))
    return 0


async def _look_for_others(cluster: Cluster, wanted: _Wanted, missing: Sequence[Object]) -> None:
    """Name what stands already and gets every right as well. Raises ConfigError where another namespace has them."""
    from agent.adapters.kubernetes.resources import APPLICATION

    (binding,) = (each for each in wanted.surroundings() if each["kind"] == "ClusterRoleBinding")
    if binding in missing:
        for each in await cluster.list(APPLICATION, namespace=wanted.namespace):
            name = get_text(each, "metadata", "name")
            terminal.warn(f"Application {wanted.namespace}/{name} stands already, and gets every right in the cluster")
        return
    name = get_text(binding, "metadata", "name")
    live = await cluster.get(await _resource(cluster, binding), "", name)
    subjects = get(live, "subjects")
    if wanted.namespace not in [
        get_text(each, "namespace") for each in (subjects if isinstance(subjects, list) else [])
    ]:
        raise ConfigError(
            "another namespace has the rights of the platform",
            hint="add the ServiceAccount to the subjects of the ClusterRoleBinding, or delete that",
            object=f"ClusterRoleBinding {name}",
        )


async def _exists(cluster: Cluster, manifest: Object) -> bool:
    place = get_text(manifest, "metadata", "namespace"), get_text(manifest, "metadata", "name")
    return await cluster.get_metadata(await _resource(cluster, manifest), *place) is not None


async def _create(cluster: Cluster, manifest: Object) -> None:
    """Without force: what another field manager made in the meantime is a conflict."""
    await cluster.apply(await _resource(cluster, manifest), manifest, force=False, manager=_MANAGER)


async def _resource(cluster: Cluster, manifest: Object) -> Resource:
    return served(await cluster.kinds(), manifest, hint="install the agent first: agent install --apply")


async def _recipient(secrets: Secrets, namespace: str) -> str:
    """Of the tenant's key, which is made where there is none. Raises ConfigError where the Secret has another content."""
    from agent.adapters.keys import age

    def make() -> dict[str, Secret]:
        return {_KEY_FILE: age.generate()[1]}

    data = await secrets.ensure(namespace, _KEY, make)
    found = [
        recipient
        for key, text in data.items()
        if key.endswith(".agekey")
        for recipient in age.AgeKeys.parse(text, source=f"Secret {namespace}/{_KEY}").recipients
    ]
    if not found:
        raise ConfigError(
            "the Secret for keys has no age identity",
            hint="remove it, or give it another name",
            secret=f"{namespace}/{_KEY}",
        )
    return found[0]


def _write_rules(wanted: _Wanted, recipient: str) -> None:
    """A new file; an existing one stays as it is."""
    recipients = ",".join(filter(None, (recipient, wanted.recovery)))
    if not wanted.rules.exists():
        content.write(str(wanted.rules), _RULES.format(recipients=recipients).encode())
    elif any(each not in content.read(str(wanted.rules)).decode("utf-8", "replace") for each in recipients.split(",")):
        terminal.warn(f"{wanted.rules} does not name every recipient")
        terminal.hint(f"add age: {recipients} to its rules, then run agent updatekeys")
