"""A bill of materials of the image, as CycloneDX 1.6 in JSON: https://cyclonedx.org/docs/1.6/json/."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from image.archive import Image
    from image.contained import Contents, Part


def text(image: Image, contents: Contents) -> str:
    """The file."""
    return json.dumps(of(image, contents), indent=2) + "\n"


def of(image: Image, contents: Contents) -> dict[str, Any]:
    """The same for the same image: its serial number is made of the image's digest."""
    version = image.config["Labels"]["org.opencontainers.image.version"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, image.digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "name": "signet",
                "version": version,
                "bom-ref": "image",
                "purl": f"pkg:oci/signet@{quote(image.digest, safe='')}",
            }
        },
        "components": [_component(part) for part in contents.parts],
        "dependencies": [{"ref": "image", "dependsOn": sorted({purl(part) for part in contents.parts})}],
    }


def purl(part: Part) -> str:
    """By which scanners look for what is known of a package: https://github.com/package-url/purl-spec."""
    if part.kind == "deb":
        return f"pkg:deb/debian/{part.name}@{quote(part.version, safe='')}?arch={part.architecture}&distro=debian-13"
    return f"pkg:{part.kind}/{part.name}@{quote(part.version, safe='')}"


def _component(part: Part) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "library", "name": part.name, "version": part.version}
    made |= {"bom-ref": purl(part), "purl": purl(part)}
    return {**made, "licenses": [{"expression": part.licence}]} if part.licence else made
