"""Agents over real servers, with as many tenants as a test or the soak wants: each a namespace, a repository and a key of its own."""

from __future__ import annotations

import base64
import itertools
import os
import secrets
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from testbed import agent as agents
from testbed import binaries
from testbed.agent import Agent, Deployed
from testbed.cluster import account
from testbed.processes import Supervisor, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed.controlplane import ControlPlane
    from testbed.gitserver import GitServer
    from testbed.openbao import OpenBao
    from testbed.repository import Content

STORE = "main"
"""Name of the one store in the operator's file."""

PATIENCE = 120.0
"""Seconds after which what was waited for does not come, however busy the machine is."""

POLICY = 'path "{mount}/*" {{ capabilities = ["read", "list"] }}\npath "sys/internal/ui/mounts/*" {{ capabilities = ["read"] }}\n'
_TRANSIT_POLICY = 'path "{mount}/decrypt/sops" {{ capabilities = ["update"] }}\n'
_LABEL = "signet-gitops.dev/application"


class Installation:
    """A context manager. The servers are the caller's; the one agent is started by `start`, further ones are made by `add_agent`.

    `tenants` are those that were made, `statuses` what the Applications said that were taken away since.

    `mount` is a KV mount of its own; references may read `<mount>/apps/**`, and Vault itself refuses `<mount>/apps/forbidden`.
    `transit` is a transit mount with a key `sops`.
    """

    def __init__(self, controlplane: ControlPlane, gitserver: GitServer, openbao: OpenBao) -> None:
        self.controlplane: ControlPlane = controlplane
        self.gitserver: GitServer = gitserver
        self.openbao: OpenBao = openbao
        self.supervisor: Supervisor = Supervisor()
        self.mount: str = f"kv-{secrets.token_hex(3)}"
        self.transit: str = f"transit-{secrets.token_hex(3)}"
        self.canaries: dict[str, str] = {}
        self.tenants: list[Tenant] = []
        self.statuses: list[object] = []
        self.agents: list[Agent] = [Agent(controlplane, self.supervisor)]
        self._settings: dict[str, object] = {}
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def agent(self) -> Agent:
        """The first agent, in most tests the only one."""
        return self.agents[0]

    def start(self) -> None:
        """Install deploy/, configure the store and start the agent."""
        self.prepare()
        _ = self.agent.start()

    def prepare(self) -> None:
        """The same without the agent."""
        agents.install(self.controlplane)
        self.openbao.enable_kv(self.mount)
        denied = f'path "{self.mount}/data/apps/forbidden" {{ capabilities = ["deny"] }}\n'
        self.openbao.enable_transit(self.transit)
        self.openbao.create_transit_key("sops", mount=self.transit)
        transit = _TRANSIT_POLICY.format(mount=self.transit)
        self.openbao.put_policy(self.mount, POLICY.format(mount=self.mount) + denied + transit)
        self.configure()

    def add_agent(self, name: str = "", *, label: str = "", server: str = "", clock: int = 0) -> Agent:
        """A further agent with the same settings, not yet started; by default `agent-1`, `agent-2` and so on. See Agent."""
        added = Agent(
            self.controlplane,
            self.supervisor,
            name=name or f"agent-{len(self.agents)}",
            label=label,
            server=server,
            clock=clock,
        )
        self.agents.append(added)
        self._configure(added)
        return added

    def configure(self, **more: object) -> None:
        """Write every agent's operator file, with further settings of it in `more`."""
        self._settings = more
        for agent in self.agents:
            self._configure(agent)

    def _configure(self, agent: Agent) -> None:
        token = agent.folder / "vault-token"
        if not token.exists():
            token.touch(mode=0o600)
            _ = token.write_text(self.openbao.token(self.mount))
        store = {
            "address": self.openbao.url,
            "auth": {"tokenFile": str(token)},
            "allowedPaths": [f"{self.mount}/apps/**"],
            "transitKeys": [f"{self.transit}/keys/sops"],
            "allowedNamespaces": ["*"],
        }
        git = {"allowedHosts": [urlsplit(self.gitserver.url).netloc]}
        agent.configure({"git": git, "probeIntervalSeconds": 5, "stores": {STORE: store}, **self._settings})

    def canary(self, name: str) -> str:
        """A new secret value that stands nowhere else."""
        value = f'canary/{name}+"{secrets.token_hex(12)}"'
        self.canaries[f"{name}-{len(self.canaries)}"] = value
        return value

    def tenant(self, name: str = "team") -> Tenant:
        """A namespace that may hold Applications, with a repository, an age key and the credentials for Git."""
        return Tenant(self, f"{name}-{next(self._numbers)}")

    def wait_forgotten(self, uid: str) -> None:
        """Wait until the agent keeps no record of an Application any more."""

        def forgotten() -> bool:
            names = self.controlplane.get(f"/api/v1/namespaces/{self.agent.namespace}/configmaps")["items"]
            return not any(uid in item["metadata"]["name"] for item in names)

        _ = wait_until(forgotten, PATIENCE, f"no record of {uid}")

    def close(self) -> None:
        """End every agent. Harmless twice."""
        for agent in self.agents:
            agent.close()
        self.supervisor.stop()


@dataclass(frozen=True, slots=True)
class Report:
    """A status, as a test asks it."""

    status: Mapping[str, Any]

    @property
    def failures(self) -> list[dict[str, str]]:
        return list(self.status.get("failures", []))

    @property
    def counts(self) -> dict[str, int]:
        return dict(self.status.get("counts", {}))

    @property
    def ready(self) -> bool:
        return self.condition("Ready").get("status") == "True"

    def condition(self, kind: str) -> dict[str, str]:
        """One condition; empty where there is none."""
        conditions: list[dict[str, str]] = self.status.get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), dict[str, str]())

    def like(self, **wanted: str) -> list[dict[str, str]]:
        """The failures whose fields are (object, file: begin with) these."""
        return [
            each for each in self.failures if all(each.get(name, "").startswith(text) for name, text in wanted.items())
        ]

    def failure(self, **wanted: str) -> dict[str, str]:
        """The first of them. Raises AssertionError, with the status."""
        if found := self.like(**wanted):
            return found[0]
        raise AssertionError(f"no failure like {wanted} in {self.failures}")


class Tenant:
    """A namespace of its own, and one Application in it."""

    def __init__(self, installation: Installation, namespace: str, name: str = "app") -> None:
        self.installation: Installation = installation
        self.controlplane: ControlPlane = installation.controlplane
        self.namespace: str = namespace
        self.account: dict[str, str] = account(namespace, "signet-applier")
        self.application: Deployed = Deployed(self.controlplane, namespace, name)
        self.repository = installation.gitserver.create(f"{namespace}-{secrets.token_hex(3)}")
        self.recipient: str = ""
        self._requests = itertools.count(1)
        installation.tenants.append(self)
        agents.tenant(self.controlplane, namespace)
        _ = self.create_key()
        git = installation.gitserver
        self.put_secret("git", {"username": git.username, "password": git.password, "ca.crt": git.ca_pem or ""})

    def second(self, name: str) -> Tenant:
        """Another Application in the same namespace, with a repository of its own."""
        return Tenant(self.installation, self.namespace, name)

    def retire(self) -> None:
        """Take the Application away, and let its objects be."""
        code, answer = self.controlplane.request("GET", self.application.path)
        if code == 200:
            self.installation.statuses.append(answer.get("status"))
            # it may be going already
            orphan = {"spec": {"deletionPolicy": "orphan"}}
            merge = "application/merge-patch+json"
            _ = self.controlplane.request("PATCH", self.application.path, orphan, content_type=merge)
            _ = self.controlplane.request("DELETE", self.application.path)

    def put_secret(self, name: str, data: Mapping[str, str]) -> None:
        """A Secret of the tenant's, made by hand."""
        metadata = {"name": name, "namespace": self.namespace}
        _ = self.controlplane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})

    def create_key(self) -> str:
        """Make a new age key in the Secret `sops-age`; the identity."""
        program = str(binaries.path("age-keygen"))
        text = subprocess.run([program], capture_output=True, text=True, check=True).stdout
        self.recipient = next(line.split(": ")[1] for line in text.splitlines() if "public key" in line)
        identity = next(line for line in text.splitlines() if not line.startswith("#"))
        self.installation.canaries[f"age-{self.namespace}-{self.recipient[-6:]}"] = identity
        self.put_secret("sops-age", {"keys.txt": identity})
        return identity

    def seal(self, manifest: str, *arguments: str, file_type: str = "yaml") -> str:
        """A YAML manifest, or a file of another type, encrypted by the real sops for this tenant's key."""
        return self._seal(manifest, ["--age", self.recipient], arguments, file_type=file_type)

    def seal_by_transit(self, manifest: str, *arguments: str) -> str:
        """The same for the installation's transit key alone."""
        bao = self.installation.openbao
        key = f"{bao.url}/v1/{self.installation.transit}/keys/sops"
        login = {"VAULT_ADDR": bao.url, "VAULT_TOKEN": bao.root_token}
        return self._seal(manifest, ["--hc-vault-transit", key], arguments, login)

    def _seal(
        self,
        manifest: str,
        key: list[str],
        arguments: tuple[str, ...],
        environment: Mapping[str, str] | None = None,
        *,
        file_type: str = "yaml",
    ) -> str:
        which = arguments or (("--encrypted-regex", "^(data|stringData)$") if file_type == "yaml" else ())
        types = ("--input-type", file_type, "--output-type", file_type)
        command = [str(binaries.path("sops")), "encrypt", *key, *which, *types]
        path = self.installation.supervisor.folder / f"{secrets.token_hex(4)}.plain.yaml"
        _ = path.write_text(manifest)
        try:
            done = subprocess.run(
                [*command, str(path)],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, **(environment or {})},
            )
        finally:
            path.unlink()
        return done.stdout

    def spec(self, **more: object) -> dict[str, object]:
        """The Application's spec; `more` replaces fields of it."""
        return {
            "source": self.source(),
            "decryption": {"keys": [{"secretName": "sops-age"}]},
            "interval": "1h",
            **more,
        }

    def source(self, *layers: str) -> dict[str, object]:
        """`spec.source` for the branch main of the tenant's repository."""
        where: dict[str, object] = {
            "url": self.repository.url,
            "revision": {"branch": "main"},
            "credentials": {"secretName": "git"},
        }
        return {**where, **({"layers": list(layers)} if layers else {})}

    def commit(self, files: Mapping[str, Content], **more: Any) -> str:
        """Commit without notifying the agent; the hash."""
        return self.repository.commit(files, **more)

    def deploy(self, files: Mapping[str, Content], **spec: object) -> Report:
        """Commit, create the Application, and wait until it is applied."""
        _ = self.commit(files)
        self.application.apply(self.spec(**spec))
        return self.until_ready()

    def configure(self, *, annotations: Mapping[str, str] | None = None, **spec: object) -> None:
        """Replace the Application's spec."""
        self.application.apply(self.spec(**spec), annotations)

    def request(self) -> str:
        """Ask for a run by annotation; its value."""
        value = f"{next(self._requests)}"
        annotations = {"signet-gitops.dev/requested-at": value}
        _ = self.controlplane.merge(self.application.path, {"metadata": {"annotations": annotations}})
        return value

    def sync(self, files: Mapping[str, Content] | None = None, *, seconds: float = PATIENCE) -> Report:
        """Commit, ask for a run, and give what the status says after it."""
        if files is not None:
            _ = self.commit(files)
        value = self.request()
        return self.until(lambda report: report.status.get("lastHandledRequestedAt") == value, "run", seconds=seconds)

    def until(self, check: Callable[[Report], bool], what: str, *, seconds: float = PATIENCE) -> Report:
        """Wait for a status of the spec as it stands, an empty one where there is no Application. Raises NotReadyError with the last one."""
        last: list[Report] = []

        def found() -> Report | None:
            code, answer = self.controlplane.request("GET", self.application.path)
            report = Report((answer.get("status") or {}) if code == 200 else {})
            last[:] = [report]
            current = code != 200 or report.status.get("observedGeneration") == answer["metadata"]["generation"]
            return report if current and check(report) else None

        try:
            return wait_until(found, seconds, f"{self.namespace}: {what}")
        except Exception as error:
            error.add_note(f"last status: {dict(last[0].status) if last else None}")
            process = self.installation.agent.process
            error.add_note(f"the agent's log: {process.tail() if process else 'it does not run'}")
            raise

    def until_failure(self, *, seconds: float = PATIENCE, **wanted: str) -> dict[str, str]:
        """Wait for a failure whose fields are (object, file: begin with) these."""
        report = self.until(lambda report: bool(report.like(**wanted)), f"a failure like {wanted}", seconds=seconds)
        return report.failure(**wanted)

    def until_ready(self, *, seconds: float = PATIENCE) -> Report:
        """Wait until the newest commit is applied in full as the spec stands, without asking for a run."""
        head = self.repository.head()[:12]
        return self.until(
            lambda report: report.ready and f"@{head}" in str(report.status.get("revision")),
            f"ready at {head}",
            seconds=seconds,
        )

    def get(self, resource: str, name: str) -> dict[str, Any] | None:
        """A live object by plural (`configmaps`, `apps/deployments`); None where there is none."""
        status, answer = self.controlplane.request("GET", self.path(resource, name))
        return answer if status == 200 else None

    def path(self, resource: str, name: str = "") -> str:
        """The API path of an object or, without a name, of the collection."""
        group, _, plural = resource.rpartition("/")
        root = f"/apis/{group}/v1" if group else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def data(self, name: str) -> dict[str, str]:
        """The data of a live ConfigMap; empty where there is none."""
        return (self.get("configmaps", name) or {}).get("data", {})

    def secret(self, name: str) -> dict[str, str]:
        """The decoded data of a live Secret; empty where there is none."""
        found = (self.get("secrets", name) or {}).get("data", {})
        return {key: base64.b64decode(value).decode() for key, value in found.items()}

    def events(self) -> set[tuple[str, str]]:
        """Reason and note of every event about the tenant's Applications."""
        found = self.controlplane.get(f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")["items"]
        return {(item["reason"], item["note"]) for item in found if item["regarding"]["kind"] == "Application"}

    def until_event(self, reason: str) -> None:
        """Wait for one about the tenant's Applications: events come after the status."""
        _ = wait_until(
            lambda: reason in {each for each, _ in self.events()}, PATIENCE, f"{self.namespace}: event {reason}"
        )

    def audit(self) -> list[dict[str, Any]]:
        """What the first agent's audit trail says of the tenant's Applications."""
        return [
            each
            for each in self.installation.agent.audit()
            if str(each.get("application")).startswith(f"{self.namespace}/")
        ]

    def managed(self, *resources: str) -> set[str]:
        """`<resource>/<name>` of live objects that carry this Application's label."""
        uid = self.controlplane.get(self.application.path)["metadata"]["uid"]
        found: set[str] = set()
        for resource in resources:
            items = self.controlplane.get(
                f"{self.path(resource)}?labelSelector={_LABEL}%3D{self.application.name}-{uid}"
            )["items"]
            found |= {f"{resource}/{item['metadata']['name']}" for item in items}
        return found
