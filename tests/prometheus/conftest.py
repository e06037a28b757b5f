"""Debian's Prometheus, and promtool from the same package."""

import pytest

from image.storage import install


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    install("prometheus")
