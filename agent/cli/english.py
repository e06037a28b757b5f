"""argparse, whose own words stay English, as ours are.

What would translate them takes a fiftieth of a small file's time to load, and as long again to look for a translation.
"""

from __future__ import annotations

import sys
from types import ModuleType


def _plural(one: str, several: str, count: int) -> str:
    return one if count == 1 else several


_gettext = sys.modules.get("gettext")
sys.modules["gettext"] = _words = ModuleType("gettext")
vars(_words).update(gettext=str, ngettext=_plural)

import argparse  # noqa: E402  # it takes its words from there

if _gettext is None:
    del sys.modules["gettext"]
else:
    sys.modules["gettext"] = _gettext

__all__ = ["argparse"]
