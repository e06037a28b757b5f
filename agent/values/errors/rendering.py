"""A renderer does not give objects: what it was given is wrong, or more than it may take."""

from __future__ import annotations

from agent.values.errors.inputs import InputError


class RenderError(InputError):
    usual_hint = "kustomize build shows the same in your checkout"


class RemoteBaseError(RenderError):
    usual_hint = "vendor it, or declare its repository in spec.render.kustomize.remoteBases and name a full commit"


class RenderLimitError(InputError):
    usual_hint = "make the overlay smaller, or split it"
