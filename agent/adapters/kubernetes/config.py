"""Which apiserver, and as whom: in a cluster, or by a kubeconfig.

The `kubernetes` package reads kubeconfigs, runs exec plugins and logs in by OIDC. It costs a second and 50 MiB to
import, so it is imported only where a kubeconfig is used.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import ssl
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agent.adapters.kubernetes import kubeconfigs
from agent.adapters.kubernetes.credential import Authorization, NoToken, TokenFile
from agent.values import system
from agent.values.errors import ConfigError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Generator

    from agent.adapters.kubernetes.kubeconfigs import Chosen

_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LOOK_SECONDS = 5.0  # the package renews a token minutes before it expires
_LOADERS = ("kube_config", "exec_provider")


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """`server` is a URL without a trailing slash; `ssl` None only for plain HTTP on the loopback interface.

    `namespace` is the one of the agent's Pod or of the kubeconfig's context; `server_name` what the certificate must
    name, where that is not the host of the URL.
    """

    server: str
    ssl: ssl.SSLContext | None
    authorization: Authorization = field(repr=False)
    namespace: str = "default"
    server_name: str = ""


def in_cluster(folder: Path = _ACCOUNT_FOLDER) -> ClusterConfig:
    """From the ServiceAccount that is mounted into the Pod. Raises ConfigError outside of one."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ConfigError("not in a cluster: KUBERNETES_SERVICE_HOST is not set", hint="give --kubeconfig")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    ca_file, namespace_file = folder / "ca.crt", folder / "namespace"
    try:
        ca_pem = ca_file.read_text("ascii")
        namespace = namespace_file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the ServiceAccount's files cannot be read", file=str(folder), cause=system.cause(error)
        ) from None
    return ClusterConfig(server, _context(server, ca_pem=ca_pem), TokenFile(folder / "token"), namespace)


def kubeconfig(path: Path | None = None, context: str | None = None) -> ClusterConfig:
    """A context of a kubeconfig (default: $KUBECONFIG, ~/.kube/config). Blocks: exec plugins may ask for a login.

    Raises ConfigError, never with the file's content or a plugin's words.
    """
    where = str(path) if path else os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    chosen = kubeconfigs.choose(where, context)
    with _certificate_folder() as folder:
        settings = _load(where, chosen.context, folder)
        if not settings.verify_ssl:
            raise ConfigError(
                "kubeconfig turns off the verification of the API server's certificate",
                file=where,
                hint="give certificate-authority-data instead of insecure-skip-tls-verify: secrets travel here",
            )
        if settings.proxy:
            raise ConfigError("kubeconfig names a proxy, which is not supported", file=where)
        try:
            server = _address(settings.host)
            tls = _context(server, ca_file=settings.ssl_ca_cert, cert=settings.cert_file, key=settings.key_file)
        except ConfigError as error:
            raise error.with_facts(file=where, context=chosen.context) from None
    authorization = _KubeconfigToken(settings, where, chosen.context) if _token(settings) else NoToken()
    if isinstance(authorization, NoToken) and not settings.cert_file and tls is not None:
        raise _no_credential(where, chosen)
    return ClusterConfig(server, tls, authorization, chosen.namespace, settings.tls_server_name or "")


def _no_credential(where: str, chosen: Chosen) -> ConfigError:
    facts = {"file": where, "context": chosen.context, "user": chosen.user}
    if chosen.program:
        return ConfigError(
            "the exec plugin of the kubeconfig's user gave no credential",
            hint="run `kubectl version` with this context: you may have to log in, and its output may say why",
            **facts,
            program=chosen.program,
        )
    return ConfigError(
        "the user of the context has no credential",
        hint="log in with your cluster's tool, or add one by kubectl config set-credentials",
        **facts,
    )


def _load(where: str, context: str, folder: Path) -> Any:
    """The package's Configuration. Inline certificates are put into `folder`."""
    from kubernetes.client import Configuration  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]
    from kubernetes.config import kube_config  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

    library: Any = kube_config
    settings: Any = Configuration()
    settings.proxy = None  # taken from the environment by the package; only the file may name one
    problem = ""
    with _silenced():
        try:
            library.load_kube_config(
                config_file=where, context=context, client_configuration=settings, temp_file_path=str(folder)
            )
        except Exception as error:  # noqa: BLE001  # the package raises whatever a plugin or parser raised
            problem = type(error).__name__
        else:
            return settings
    raise ConfigError(
        "kubeconfig cannot be used",
        hint="try `kubectl version` with the same file and context",
        file=where,
        context=context,
        exception=problem,
    )


def _token(settings: Any) -> str:
    return settings.api_key.get("BearerToken") or ""


class _KubeconfigToken:
    """The header of a kubeconfig's user.

    The package asks the plugin or the issuer again when the token expires; a 401 reads everything again.
    """

    def __init__(self, settings: Any, file: str, context: str) -> None:
        self._settings: Any = settings
        self._file: str = file
        self._context: str = context
        self._lock: asyncio.Lock = asyncio.Lock()
        self._looked: float = float("-inf")

    async def __call__(self, *, refresh: bool) -> Secret | None:
        async with self._lock:
            if refresh or time.monotonic() - self._looked > _LOOK_SECONDS:
                await asyncio.to_thread(self._reload if refresh else self._renew)
                self._looked = time.monotonic()
            if not (token := _token(self._settings)):
                raise ConfigError("the kubeconfig's login gave no token", file=self._file, context=self._context)
            return Secret(token, f"kubeconfig:{self._file}")

    def _reload(self) -> None:
        with _certificate_folder() as folder:
            self._settings = _load(self._file, self._context, folder)

    def _renew(self) -> None:
        failed = False
        with _silenced():
            try:
                self._settings.refresh_api_key_hook(self._settings)
            except Exception:  # noqa: BLE001  # as above
                failed = True
        if failed:
            raise ConfigError("the kubeconfig's login failed", file=self._file, context=self._context)


def _address(server: str) -> str:
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ConfigError("not the address of an API server", hint="such as https://127.0.0.1:6443")
    if parts.scheme == "http" and not _loopback(parts.hostname):
        raise ConfigError("the API server's address is not https", hint="secrets travel here")
    return server.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(
    server: str, *, ca_pem: str = "", ca_file: str | None = None, cert: str | None = None, key: str | None = None
) -> ssl.SSLContext | None:
    if urlsplit(server).scheme != "https":
        return None
    try:
        context = ssl.create_default_context(cafile=ca_file, cadata=ca_pem or None)
        if cert:
            context.load_cert_chain(cert, key)
    except (OSError, ValueError):
        raise ConfigError("the API server's CA or the client certificate cannot be read") from None
    return context


@contextmanager
def _certificate_folder() -> Generator[Path]:
    """A 0700 folder, in memory where there is one: the ssl module reads certificates and keys from files only."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of our own is made in it
    base = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="signet-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _silenced() -> Generator[None]:
    """The package logs what an exec plugin printed, through the root logger."""
    root = logging.getLogger()

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return record.module not in _LOADERS

    root.addFilter(from_elsewhere)
    try:
        yield
    finally:
        root.removeFilter(from_elsewhere)
