"""SBOMs are valid SPDX, name everything, and are the same for the same image."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.builder.oci.images import small_image

from bentoml.builder.oci.model import Referrer
from bentoml.builder.oci.sbom import (
    MEDIA_TYPE,
    Component,
    hub_component,
    python_components,
    sbom_of,
    system_component,
)

IMAGE = small_image("one")
LOCK = """\
# a comment
--index-url https://example.org/simple
numpy==2.1.0 \\
    --hash=sha256:aa11 \\
    --hash=sha256:0011
Typing_Extensions[x]==4.1+local.1 ; python_version < "3.12" --hash=sha256:bb
own @ https://me:secret@example.org/own-1.0-py3-none-any.whl --hash=sha256:cc
"""
BASE = Component("python:3.11-slim", f"sha256:{'1' * 64}", "CONTAINER", hashes=(("SHA256", "1" * 64),))


def sbom(name: str = "iris:1", lock: str = LOCK) -> Referrer:
    parts = [
        Component("iris", "1", "APPLICATION"),
        *python_components(lock),
        system_component("libstdc++6", "12.2.0-14+deb12u1", "amd64", "debian"),
        hub_component("Org/Bert", "ABCDEF"),
    ]
    return sbom_of(IMAGE, name=name, base=BASE, parts=parts, epoch=86400, tool="bentoml-0.1.0")


def document(made: Referrer) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(made.data)
    return loaded


def test_the_packages_of_a_lock() -> None:
    numpy, typing, own = python_components(LOCK)
    assert (numpy.name, numpy.version, numpy.purl) == ("numpy", "2.1.0", "pkg:pypi/numpy@2.1.0")
    assert numpy.hashes == (("SHA256", "0011"), ("SHA256", "aa11"))
    assert typing.purl == "pkg:pypi/typing-extensions@4.1%2Blocal.1"
    assert own.place == "https://example.org/own-1.0-py3-none-any.whl"


def test_no_password_of_an_index_is_in_it() -> None:
    assert b"secret" not in sbom().data


def test_everything_is_named() -> None:
    purls = {
        ref["referenceLocator"] for p in document(sbom())["packages"] for ref in p.get("externalRefs", [])
    }
    assert purls == {
        f"pkg:oci/iris@sha256%3A{IMAGE.root.digest.hex}?arch=amd64",
        "pkg:pypi/numpy@2.1.0",
        "pkg:pypi/typing-extensions@4.1%2Blocal.1",
        "pkg:pypi/own",
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64",
        "pkg:huggingface/Org/Bert@abcdef",
    }
    whole, base = document(sbom())["packages"][:2]
    assert whole["versionInfo"] == str(IMAGE.root.digest)
    assert base["checksums"] == [{"algorithm": "SHA256", "checksumValue": "1" * 64}]


def test_what_the_specification_asks_for() -> None:
    made = document(sbom())
    assert (made["spdxVersion"], made["dataLicense"], made["SPDXID"]) == (
        "SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT",
    )  # fmt: skip
    assert re.fullmatch(r"https://[^#\s]+", made["documentNamespace"])
    assert made["creationInfo"] == {"created": "1970-01-02T00:00:00Z", "creators": ["Tool: bentoml-0.1.0"]}
    ids = [package["SPDXID"] for package in made["packages"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", i) for i in ids)
    for package in made["packages"]:
        assert {"name", "downloadLocation", "versionInfo"} <= set(package)
    related = {r["relatedSpdxElement"] for r in made["relationships"]}
    assert related == set(ids)


def test_the_same_image_has_the_same_sbom() -> None:
    assert sbom() == sbom()
    assert sbom().root == sbom().root
    assert sbom(lock="").root != sbom().root


def test_it_refers_to_the_image() -> None:
    manifest = json.loads(sbom().manifest)
    assert manifest["subject"] == IMAGE.root.to_json()
    assert manifest["artifactType"] == manifest["layers"][0]["mediaType"] == MEDIA_TYPE
    assert manifest["layers"][0]["digest"] == str(sbom().document.digest)


@pytest.mark.parametrize("name", ["a b\n#c", "ü:1", '"quoted"', "../x"])
def test_strange_names(name: str) -> None:
    made = document(sbom(name))
    assert made["name"] == name
    assert re.fullmatch(r"https://[!-~]+", made["documentNamespace"]) and "#" not in made["documentNamespace"]
