"""The words of signet-render: frames of four bytes of length, big-endian, and JSON; one answer to each request, in order.

An answer is a line of JSON, and a line more for each object: the interpreter does nothing else while it reads one, and no line is large.
"""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from agent.adapters.render import failures
from agent.api.operator import Limits
from agent.engine.renderers import Rendered, RenderedObject
from agent.manifests import documents
from agent.values.errors import DefectError
from agent.values.expressions import Expression
from agent.values.generated import Generation
from agent.values.placeholders import Placeholder
from agent.values.questions import Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.api.operator import RenderLimits
    from agent.engine.renderers import Chart, Kustomization, SourceTree
    from agent.values.tree import Object

Answer: TypeAlias = dict[str, Any]

HEAD: Final = struct.Struct(">I")
_AROUND: Final = 4
"""Keys and values of a line beside its object."""
_FIRST: Final = 1_000_000
"""Of the line before them: paths, questions, expressions."""
_PART: Final = 64 * 1024
VALUES: Final = Limits().values
"""Where nothing else is said."""
HELLO: Final[dict[str, object]] = {"hello": {}}


def largest(limits: RenderLimits) -> int:
    """Bytes of one answer: the objects, and the paths that were read or looked for."""
    return 2 * limits.output_bytes + 16 * 1024 * 1024


def frame(request: dict[str, object], *, seconds: int) -> bytes:
    """A request whose answer is of no use after so many seconds."""
    pieces = json.JSONEncoder(ensure_ascii=False).iterencode({**request, "seconds": seconds})
    body = "".join(pieces).encode("utf-8", "surrogatepass")
    return HEAD.pack(len(body)) + body


def answer(body: bytes, most: int) -> Answer:
    """What a frame holds. Raises ValueError, TypeError and RecursionError where it holds something else.

    LimitError for objects of more keys and values than `most`, of which a few bytes take some hundred once they are read.
    """
    first, *objects = body.split(b"\n")
    if _exceed(objects, most + _AROUND * len(objects)) or _exceed([first], _FIRST):
        raise documents.many_values(most)
    return {**json.loads(first), "objects": [json.loads(each) for each in objects]}


def _exceed(lines: list[bytes], most: int) -> bool:
    return sum(map(_size, lines)) > most and sum(_size(part) for each in lines for part in _without_texts(each)) > most


def _size(line: bytes) -> int:
    """Keys and values, beside the outermost one; more where texts have the marks of JSON."""
    marks = sum(map(line.count, (b":", b",", b"{", b"[")))
    return marks - line.count(b"{}") - line.count(b"[]")


def _without_texts(line: bytes) -> Iterator[bytes]:
    """JSON with zeros in place of texts, a part at a time: small ones take many times their bytes where they are set apart."""
    bare, within = line.replace(b"\\\\", b"").replace(b'\\"', b""), False
    for at in range(0, len(bare), _PART):
        pieces = bare[at : at + _PART].split(b'"')
        yield b"0".join(pieces[within::2])
        within ^= len(pieces) % 2 == 0


def put(sources: SourceTree) -> dict[str, object]:
    """Brings files. What is no UTF-8 goes as base64."""
    texts: dict[str, str] = {}
    binary: dict[str, str] = {}
    for path, content in sources.files.items():
        try:
            texts[path] = content.decode()
        except UnicodeDecodeError:
            binary[path] = base64.b64encode(content).decode()
    return {"put": {"digest": sources.digest, "files": texts, "binary": binary}}


def kustomize(asked: Kustomization, limits: RenderLimits) -> dict[str, object]:
    """Asks for a build of files that were put."""
    request: dict[str, object] = {"tree": asked.sources.digest, "path": asked.path, "origins": asked.origins}
    if asked.overlay:
        request["overlay"] = asked.overlay
    if asked.replaced:
        request["replaced"] = dict(asked.replaced)
    return {"kustomize": {**request, "outputBytes": limits.output_bytes, "objects": limits.objects}}


def helm(asked: Chart, limits: RenderLimits) -> dict[str, object]:
    """Asks for a chart of files that were put."""
    return {
        "helm": {
            "tree": asked.sources.digest,
            "chart": asked.path,
            "valuesFiles": asked.values_files,
            "values": asked.values,
            "name": asked.name,
            "namespace": asked.namespace,
            "kubeVersion": asked.cluster.version,
            "apiVersions": sorted(asked.cluster.serves),
            "known": asked.known,
            "now": asked.now,
            "crds": asked.crds,
            "skipHooks": asked.skips_hooks,
            "isUpgrade": asked.upgrades,
            "outputBytes": limits.output_bytes,
            "objects": limits.objects,
        }
    }


def charted(answer: Answer, build: str) -> Rendered:
    """What the answer to `helm` says. Raises DefectError as `rendered`."""
    found = rendered({"read": (), **answer}, build)
    try:
        made = {
            Placeholder(key): Expression(str(op), tuple(map(str, args)))
            for key, (op, *args) in answer.get("expressions", {}).items()
        }
        questions = tuple(
            Question(
                str(each["op"]), tuple(map(str, each["args"])), each["answer"] is True, each["file"], int(each["line"])
            )
            for each in answer.get("questions", ())
        )
        asked = {str(name): served is True for name, served in answer.get("asked", {}).items()}
        generated = {Placeholder(key): _generation(each) for key, each in answer.get("generated", {}).items()}
        skipped, elsewhere = (tuple(map(str, answer.get(name, ()))) for name in ("skipped", "elsewhere"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DefectError("signet-render's answer does not fit the request") from None
    return replace(
        found,
        expressions=made,
        questions=questions,
        asked=asked,
        clock=answer.get("clock") is True,
        skipped=skipped,
        elsewhere=elsewhere,
        generated=generated,
        of_release=answer.get("release") is True,
        notes=None if answer.get("notesFailed") is True else str(answer.get("notes", "")),
    )


def _generation(given: dict[str, Any]) -> Generation:
    args = tuple(map(str, given["args"]))
    file, line = str(given["file"]), int(given["line"])
    return Generation(str(given["function"]), args, str(given.get("part", "")), str(given["call"]), file, line)


def rendered(answer: Answer, build: str) -> Rendered:
    """What the answer to `kustomize` says. Raises DefectError for one that says nothing: no objects would be the end of those that stand."""
    try:
        error = failures.translated(answer["error"]) if "error" in answer else None
        read = frozenset[str](answer.get("read", ()) if error else answer["read"])
        objects = tuple(RenderedObject(str(each["file"]), cast("Object", each["object"])) for each in answer["objects"])
        return Rendered(objects, read, frozenset[str](answer.get("lookedFor", ())), build, error)
    except (AttributeError, KeyError, TypeError):
        raise DefectError("signet-render's answer does not fit the request") from None
