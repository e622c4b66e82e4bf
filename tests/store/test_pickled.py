"""Pickled content is told by its bytes, whatever a file is called, and text is not taken for it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest

from bentoml.store.pickled import holds_pickles, pickled_files


class Evil:
    """What runs code when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("evil",)


def by_joblib(value: Any, **options: Any) -> bytes:
    """Return what joblib writes: a pickle with raw bytes between its parts."""
    buffer = io.BytesIO()
    joblib.dump(value, buffer, **options)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_of(dtype: str) -> bytes:
    """Return the file of an array whose elements are said to be of this type."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': (1,), }}\n".encode()
    return b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header + pickle.dumps(Evil())


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


VALUES = {
    "a": [1, 2.5, None, True, b"x" * 300, "y" * 70000, (1, 2), {3}, -(2**70)],
    "more": list(range(2000)),
}
OBJECTS = np.array([{"a": 1}, None], dtype=object)
LARGE = pickle.dumps([b"x" * 100_000, Evil()])

PICKLED: dict[str, bytes] = {
    **{f"protocol {number}": pickle.dumps(VALUES, number) for number in (2, 3, 4, 5)},
    **{f"protocol {number}, with a call": pickle.dumps(Evil(), number) for number in range(6)},
    "a call after much": pickle.dumps([["text"] * 3000, Evil()], 0),
    "a call after large bytes": pickle.dumps([b"x" * 3_000_000, Evil()]),
    "with INST": b"(S'evil'\nibuiltins\nprint\n.",
    "cut off after the call": b"cos\nsystem\n(S'id'\ntR\xff\xff\xff",
    "behind a long line": b"V" + b"x" * 200_000 + b"\n0cos\nsystem\n(S'id'\ntR.",
    "behind a long string": b"S'" + b"x" * 200_000 + b"'\n0cos\nsystem\n(S'id'\ntR.",
    "numbers with signs": b"Np+1\n0g+1\n0I-1\n0cos\nsystem\n(S'id'\ntR.",
    "behind another one": b"N.I1\n.cos\nsystem\n(S'id'\ntR.",
    "cloudpickle": cloudpickle.dumps(lambda: 1),
    "joblib": by_joblib({"array": np.zeros(1000)}),
    "joblib, compressed": by_joblib({"array": np.zeros(1000)}, compress=3),
    "joblib, zlib": zlib.compress(pickle.dumps(Evil()), 3),
    "joblib, gzip": gzip.compress(pickle.dumps(Evil())),
    "joblib, bz2": bz2.compress(pickle.dumps(Evil())),
    "joblib, xz": lzma.compress(pickle.dumps(Evil())),
    "joblib, lzma": lzma.compress(pickle.dumps(Evil()), lzma.FORMAT_ALONE),
    "joblib, old": b"ZF0x1234",
    "packed, the call beyond the beginning": zlib.compress(LARGE, 1),
    "lz4": b"\x04\x22\x4d\x18something",
    "torch": zipped(**{"archive/data.pkl": pickle.dumps(Evil(), 2), "archive/data/0": bytes(100)}),
    "torch, old": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2),
    "torch, very old": tarred(pickle=pickle.dumps(Evil(), 2)),
    "zip with another beginning": b"#!/bin/sh\n" + zipped(x=pickle.dumps(Evil())),
    "zip in a zip": zipped(inner=zipped(x=pickle.dumps(Evil()))),
    "damaged zip": b"PK\x03\x04" + bytes(100),
    "array of objects": npy(OBJECTS),
    "record with an object": npy(np.zeros(2, dtype=[("a", "f4"), ("b", "O")])),
    "npz with objects": npz(a=np.zeros(3), b=OBJECTS),
    "array of objects by another name": npy_of("object"),
    "array of objects by an escape": npy_of("\\x4f"),
    "array of objects by number": npy_of("2O"),
    "array of objects among others": npy_of("f4,O"),
    "array whose header is none": npy_of("'"),
    "bz2 that is not": b"BZh\x00\x00" + b"x" * 0x685A + b"".join([pickle.dumps(Evil(), 2)]),
}

PLAIN: dict[str, bytes] = {
    "nothing": b"",
    "one byte": b"\x80",
    "text": b"N.B. this is text\n",
    "a word": b"class Model:\n    pass\n",
    "a vocabulary": b"cat\ndog\n[PAD]\nfish\n",
    "json": b'{"a": [1, 2, 3], "b": "R."}',
    "yaml": b"name: x\nversion: 1\n",
    "csv": b"0,1,2\n1,2,3\n" * 1000,
    "numbers": b"0123456789" * 1000,
    "zeros": bytes(10_000),
    "safetensors": (16).to_bytes(8, "little") + b'{"a":{"dtype":"F"' + bytes(100),
    "protobuf": b"\x08\x07\x12\x07pytorch\x1a\x032.0",
    "not a protocol": b"\x80\x09.",
    "raw floats": np.linspace(-1, 1, 1000, dtype="f4").tobytes(),
    "like a protocol, then noise": b"\x80\x02" + b"\xff" * 100,
    "array": npy(np.zeros((3, 4))),
    "array of words": npy(np.array(["Otto", "O"])),
    "record": npy(np.zeros(2, dtype=[("Open", "f4"), ("Other", "i8")])),
    "npz": npz(a=np.zeros(3), O=np.ones(2)),
    "zip": zipped(**{"config.json": b"{}", "weights.bin": bytes(100)}),
    "tar": tarred(**{"weights.bin": bytes(2000)}),
    "gzipped text": gzip.compress(b"some text\n" * 10),
    "text that begins like zlib": b"x^2 + y^2\n",
    "text that begins like bzip2": b"BZh is the magic of bzip2\n",
}


@pytest.mark.parametrize("name", PICKLED)
def test_it_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "weights.safetensors").write_bytes(PICKLED[name])
    assert holds_pickles(tmp_path / "weights.safetensors")


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_none_is_fine(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.pkl").write_bytes(PLAIN[name])
    assert not holds_pickles(tmp_path / "model.pkl")


def test_noise_is_hardly_ever_taken_for_it(tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    found = 0
    for _ in range(300):
        (tmp_path / "w").write_bytes(noise.bytes(3000))
        found += holds_pickles(tmp_path / "w")
    assert found == 0


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_bytes(pickle.dumps(VALUES))
    (tmp_path / "sub" / "b.pkl").write_text("text")
    assert pickled_files(tmp_path, ["a.txt", "sub/b.pkl"]) == ("a.txt",)
