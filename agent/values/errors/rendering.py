"""A renderer does not give objects: what it was given is wrong, or more than it may take."""

from __future__ import annotations

from agent.values.errors.inputs import InputError


class RenderError(InputError):
    usual_hint = "kustomize build shows the same in your checkout"


class RemoteBaseError(RenderError):
    usual_hint = "vendor it, or declare its repository in spec.render.kustomize.remoteBases and name a full commit"


class RenderLimitError(InputError):
    usual_hint = "make the overlay smaller, or split it"


class ChartError(RenderError):
    usual_hint = "helm template shows the same in your checkout"


class SealedValueReadError(RenderError):
    usual_hint = "keep this value in clear text, or use a setting of the chart that names an existing Secret"


class RandomValueError(RenderError):
    usual_hint = (
        "set a value for it, such as one of a store, or name an existing Secret: most charts have a setting for either"
    )


class QuestionError(RenderError):
    usual_hint = "keep the value in clear text that decides what the chart makes, or commit another value"
