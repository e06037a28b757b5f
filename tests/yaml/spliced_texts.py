"""What every change of a YAML text keeps: what did not change, and what it was to say."""

from agent.yaml.edit.splice import splice
from agent.yaml.matching import same
from agent.yaml.read import yaml


def documents(text: str):
    return yaml.parse(text.encode(), file="wanted.yaml")


def assert_spliced(before: str, wanted: str, after: str) -> None:
    """`before`, once it says `wanted`, is `after`, and with nothing to change it is the same file."""
    spliced = splice(before.encode(), documents(wanted), file="file.yaml")
    assert spliced.data.decode() == after
    found = yaml.parse(spliced.data, file="file.yaml")
    assert len(found) == len(documents(wanted))
    assert all(map(same, found, documents(wanted)))
    assert splice(before.encode(), documents(before), file="file.yaml").data == before.encode()
