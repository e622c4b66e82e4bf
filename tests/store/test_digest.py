from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import pytest

from bentoml.store.digest import Digest, canonical_json

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_all_ways_to_hash_agree(tmp_path: Path) -> None:
    data = b"x" * 3_000_000
    (tmp_path / "file").write_bytes(data)
    expected = Digest(hashlib.sha256(data).hexdigest())
    assert Digest.of(data) == Digest.of(memoryview(data)) == expected
    assert Digest.of_stream(io.BytesIO(data)) == Digest.of_file(tmp_path / "file") == expected


def test_str_gives_what_parse_accepts() -> None:
    assert str(Digest.of(b"")) == f"sha256:{EMPTY}"
    assert Digest.parse(f"sha256:{EMPTY}") == Digest.of(b"")


@pytest.mark.parametrize(
    "text", ["", EMPTY, f"sha512:{EMPTY}", f"sha256:{EMPTY.upper()}", f"sha256:{EMPTY}\n", "sha256:ab"]
)
def test_anything_else_is_no_digest(text: str) -> None:
    with pytest.raises(ValueError, match="is not a digest"):
        Digest.parse(text)


def test_a_version_is_the_beginning_of_the_digest_in_base32() -> None:
    assert Digest.of(b"").version() == "4oymiquy7qobjgx3"
    assert re.fullmatch("[a-z2-7]{16}", Digest.of(b"x").version())


def test_canonical_json_is_the_same_for_equal_values() -> None:
    assert (
        canonical_json({"b": (1, 2), "a": "é"})
        == canonical_json({"a": "é", "b": [1, 2]})
        == '{"a":"é","b":[1,2]}'.encode()
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_json_refuses_what_json_does_not_have(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)
    with pytest.raises(TypeError):
        canonical_json(b"bytes")
