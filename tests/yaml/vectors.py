"""The vectors, and our nodes in their notation."""

import base64
import json
from pathlib import Path

from agent.yaml import numbers
from agent.yaml.nodes import Comment, Mapping, Sequence, Timestamp

_FOLDER = Path(__file__).parents[1] / "vectors" / "yaml"
_GO_FLOATS = {".inf": "+Inf", "-.inf": "-Inf", ".nan": "NaN"}


def read(name):
    rows = [json.loads(line) for line in (_FOLDER / name).read_text().splitlines()]
    for row in rows:
        row["yaml"] = base64.b64decode(row["yaml_b64"])
    return rows


def go_value(value):
    """Go's type name and print of a scalar."""
    if value is None:
        return ["<nil>", "<nil>"]
    if isinstance(value, bool):
        return ["bool", str(value).lower()]
    if isinstance(value, int):
        return ["int" if value < 2**63 else "uint64", str(value)]
    if isinstance(value, float):
        text = numbers.float_text(value)
        return ["float64", _GO_FLOATS.get(text, text)]
    if isinstance(value, Timestamp):
        return ["time.Time", value.text]
    return ["string", value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")]


def sops_tree(value):
    """A value in the notation of sops-comments.jsonl."""
    if isinstance(value, Mapping):
        return {"m": [_item(item) or [*go_value(item.key), sops_tree(item.value)] for item in value.items]}
    if isinstance(value, Sequence):
        return {"l": [_item(item) or ["-", sops_tree(item)] for item in value.items]}
    kind, text = go_value(value)
    if kind == "time.Time":
        text = text.replace("T", " ").replace("Z", " +0000 UTC")
    return None if value is None else [kind, text]


def _item(item):
    return ["#", item.text, item.inline] if isinstance(item, Comment) else None


def same(ours, theirs):
    """Equal as JSON: numbers by value, booleans apart from them."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return isinstance(ours, bool) == isinstance(theirs, bool) and ours == theirs
