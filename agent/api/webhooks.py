"""Webhooks: who may notify the agent of a push, and for whose Applications."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from agent.api.fields import FilePath, NamePattern
from agent.api.model import Model

HookName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
Sender = Literal["github", "gitlab", "gitea", "bitbucket", "generic", "registry", "harbor", "dockerhub"]


class Webhook(Model):
    """One sender of pushes."""

    sender: Sender
    """Who sends, and so how a request is proven. `github`, `gitea` (Forgejo too), `bitbucket` and `generic` sign its bytes by
    HMAC-SHA256, in `X-Hub-Signature-256`, `X-Gitea-Signature`, `X-Hub-Signature` and `X-Signature` (`sha256=` and hex digits). `gitlab` sends the secret itself as
    `X-Gitlab-Token`. `generic` takes `{"repository": "https://git.example.com/shop", "ref": "refs/heads/main"}`. Of registries, `registry` (CNCF
    distribution) and `harbor` send it as `Authorization`, with or without `Bearer`, and `dockerhub` as `token` in the URL; `github` names GHCR's
    packages too."""
    secret_file: FilePath
    """The secret that both sides know, 16 bytes or more, in a file that is read for each request. A final line break does not count."""
    namespaces: Annotated[tuple[NamePattern, ...], Field(min_length=1, max_length=64)] = ("*",)
    """Namespaces whose Applications it starts; `*` stands for any run of characters. Give a tenant's webhook the tenant's namespaces."""
