"""A cluster that is there already, reached through a context of the user's kubeconfig and plain HTTP: nothing has to be built."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.cluster import Cluster
from testbed.requests import Answer, request

if TYPE_CHECKING:
    from testbed.processes import Supervisor


class ContextError(RuntimeError):
    """A context of the kubeconfig cannot be used; the text says why."""


class ExistingCluster(Cluster):
    """The cluster of `context` in $KUBECONFIG or ~/.kube/config, as the user that the context names. Raises ContextError."""

    def __init__(self, context: str, supervisor: Supervisor) -> None:
        from kubernetes.client import Configuration  # noqa: PLC0415  # a second to import  # pyright: ignore[reportMissingTypeStubs]
        from kubernetes.config import kube_config  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

        folder = supervisor.folder / "context"
        folder.mkdir(mode=0o700)
        settings: Any = Configuration()
        library: Any = kube_config
        try:
            library.load_kube_config(context=context, client_configuration=settings, temp_file_path=str(folder))
        except library.ConfigException as error:
            raise ContextError(f"the kubeconfig has no usable context {context}: {error}") from None
        if not settings.verify_ssl or not settings.host.startswith("https://"):
            raise ContextError(f"context {context} does not verify the API server's certificate: secrets travel here")
        self.context: str = context
        self._settings: Any = settings
        ca_pem = Path(settings.ssl_ca_cert).read_text("ascii") if settings.ssl_ca_cert else None
        self._client: ssl.SSLContext = ssl.create_default_context(cadata=ca_pem)
        if settings.cert_file:
            self._client.load_cert_chain(settings.cert_file, settings.key_file)
        super().__init__(settings.host.rstrip("/"), ca_pem or "", "", folder)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        content_type: str = "application/json",
        timeout: float = 30.0,
    ) -> tuple[int, Answer]:
        """As the user of the context; with a `token`, as whom that is for."""
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        authorization = f"Bearer {token}" if token else self._settings.get_api_key_with_prefix("BearerToken")
        if authorization:
            headers["Authorization"] = authorization
        tls = self._tls if token else self._client
        return request(method, self.url + path, body, headers=headers, tls=tls, timeout=timeout)

    def kubeconfig(self, path: Path, token: str | None = None, *, namespace: str = "default", server: str = "") -> Path:
        """As Cluster's, but only for a `token`: the user has a kubeconfig already."""
        if token is None:
            raise ValueError("the user's own kubeconfig is not copied")
        _ = super().kubeconfig(path, token, namespace=namespace, server=server)
        if not self.ca_pem:
            config = json.loads(path.read_text())
            del config["clusters"][0]["cluster"]["certificate-authority"]
            _ = path.write_text(json.dumps(config))
        return path
