"""The SBOM of an image: what it consists of, as an SPDX 2.3 document that says the same of the same image. Pure.

https://spdx.github.io/spdx-spec/v2.3/ and https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from ...store.digest import Digest, canonical_json
from .model import Image, Referrer

__all__ = ["MEDIA_TYPE", "Component", "hub_component", "python_components", "sbom_of", "system_component"]

MEDIA_TYPE = "application/spdx+json"

_UNKNOWN = "NOASSERTION"
_NAMESPACE = "https://spdx.org/spdxdocs"
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9.-]+")
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:==\s*([^\s;\\]+)|@\s*(\S+))")
_CREDENTIALS = re.compile(r"://[^/\s@]*@")
_HASH = re.compile(r"--hash[=\s]\s*(sha256|sha384|sha512):([0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that is in an image; ``purl`` is what vulnerability databases know it by, ``hashes`` are (algorithm, hex)."""

    name: str
    version: str
    purpose: str = "LIBRARY"
    purl: str = ""
    hashes: tuple[tuple[str, str], ...] = ()
    place: str = _UNKNOWN


def python_components(requirements: str) -> Iterator[Component]:
    """Yield the packages of a lock: pinned requirements with their hashes."""
    for line in requirements.replace("\\\n", " ").splitlines():
        pin = _PIN.match(line.strip())
        if pin is None:
            continue
        name, version = re.sub(r"[-_.]+", "-", pin[1]).lower(), pin[2] or ""
        place = _CREDENTIALS.sub("://", pin[3] or _UNKNOWN)
        hashes = tuple(sorted({(kind.upper(), value) for kind, value in _HASH.findall(line)}))
        purl = f"pkg:pypi/{name}@{quote(version, safe=':')}" if version else f"pkg:pypi/{name}"
        yield Component(name, version or _UNKNOWN, purl=purl, hashes=hashes, place=place)


def system_component(name: str, version: str, architecture: str, distro: str) -> Component:
    """Return a Debian package as a component; ``distro`` is the ID of its system, such as ``debian``."""
    purl = f"pkg:deb/{distro}/{quote(name, safe='')}@{quote(version, safe=':')}?arch={architecture}"
    return Component(name, version, purl=purl)


def hub_component(model_id: str, revision: str) -> Component:
    """Return a model of Hugging Face as a component."""
    purl = f"pkg:huggingface/{quote(model_id)}@{revision.lower()}"
    return Component(model_id, revision, "OTHER", purl)


def sbom_of(
    image: Image, *, name: str, base: Component, parts: Sequence[Component], epoch: int, tool: str
) -> Referrer:
    """Return the SBOM of an image that is called ``name``, as what refers to it; ``tool`` is the program that made both.

    It holds nothing but what follows from the image and the arguments.
    """
    root = image.root
    whole = Component(
        name,
        str(root.digest),
        "CONTAINER",
        _oci_purl(name, root.digest, image),
        (("SHA256", root.digest.hex),),
    )
    components = list(dict.fromkeys([whole, base, *parts]))
    ids = [_id(number, component) for number, component in enumerate(components)]
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"{_NAMESPACE}/{quote(name, safe='')}-{root.digest.hex}",
        "creationInfo": {
            "created": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: {tool}"],
        },
        "packages": [_package(*pair) for pair in zip(ids, components, strict=True)],
        "relationships": [
            _relation("SPDXRef-DOCUMENT", "DESCRIBES", ids[0]),
            _relation(ids[0], "DESCENDANT_OF", ids[1]),
            *(_relation(ids[0], "CONTAINS", part) for part in ids[2:]),
        ],
    }
    return Referrer(root, MEDIA_TYPE, canonical_json(document))


def _oci_purl(name: str, digest: Digest, image: Image) -> str:
    repository = name.rpartition("/")[2].partition(":")[0].lower()
    return f"pkg:oci/{quote(repository)}@{quote(str(digest), safe='')}?arch={image.platform.architecture}"


def _id(number: int, component: Component) -> str:
    said = _NOT_IN_ID.sub("-", component.name).strip("-.")
    return f"SPDXRef-{number}-{said}"


def _package(identity: str, component: Component) -> dict[str, object]:
    purl = {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": component.purl,
    }
    sums = [{"algorithm": kind, "checksumValue": value} for kind, value in component.hashes]
    return {
        "SPDXID": identity,
        "name": component.name,
        "versionInfo": component.version,
        "downloadLocation": component.place,
        "filesAnalyzed": False,
        "primaryPackagePurpose": component.purpose,
        **({"checksums": sums} if sums else {}),
        **({"externalRefs": [purl]} if component.purl else {}),
    }


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
