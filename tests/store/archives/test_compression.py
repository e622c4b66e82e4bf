"""What is compressed here can be read everywhere, does not depend on how it came, and stores what does not shrink."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from bentoml.store.archives.blocks import SIZE, runs
from bentoml.store.archives.formats import Format
from bentoml.store.archives.gz import gz
from bentoml.store.archives.unpacking import Stream, unpacked
from bentoml.store.archives.xz import xz

Pack = Callable[[Iterable[bytes]], Iterator[bytes]]

NOISE = random.Random(1).randbytes
CONTENT = {
    "nothing": b"",
    "a byte": b"a",
    "text": b"some text, again and again\n" * 10_000,
    "noise": NOISE(200_000),
    "a block": NOISE(SIZE),
    "text, noise, text": b"text " * 300_000 + NOISE(2 * SIZE) + b"more text " * 200_000,
    "zeros": bytes(3 * SIZE + 7),
    "ends with noise": b"text " * 300_000 + NOISE(70_000),
}


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("name", CONTENT)
@pytest.mark.parametrize(
    ("format", "pack", "unpack"), [("xz", xz, lzma.decompress), ("gz", gz, gzip.decompress)]
)
def test_what_goes_in_comes_out(
    format: Format, pack: Pack, unpack: Callable[[bytes], bytes], name: str
) -> None:
    data = CONTENT[name]
    packed = b"".join(pack([data]))
    assert unpack(packed) == data
    assert b"".join(unpacked(io.BytesIO(packed), format)) == data
    assert b"".join(pack(cut(data, 70_001))) == packed, "however it came"


@pytest.mark.parametrize("name", CONTENT)
def test_another_program_reads_it(tmp_path: Path, name: str) -> None:
    program = shutil.which("xz")
    assert program, "install xz-utils"
    (tmp_path / "x.xz").write_bytes(b"".join(xz([CONTENT[name]])))
    done = subprocess.run(
        [program, "--decompress", "--stdout", str(tmp_path / "x.xz")], capture_output=True, check=True
    )
    assert done.stdout == CONTENT[name]


@pytest.mark.parametrize("pack", [xz, gz])
def test_noise_takes_hardly_more_than_itself(pack: Pack) -> None:
    noise = NOISE(4 * SIZE)
    assert len(b"".join(pack([noise]))) < len(noise) * 1.0005


@pytest.mark.parametrize("pack", [xz, gz])
def test_text_shrinks(pack: Pack) -> None:
    text = "".join(f"{number}, {number * 7 % 1000}\n" for number in range(100_000)).encode()
    assert len(b"".join(pack([text]))) < len(text) * 0.4


def test_runs_are_of_whole_blocks() -> None:
    data = b"text " * SIZE + NOISE(SIZE)
    found = [(shrinks, [len(block) for block in blocks]) for shrinks, blocks in runs(cut(data, 1000))]
    assert found == [(True, [SIZE] * 5), (False, [SIZE])]


def test_pieces_stay_small_whatever_they_unpack_to() -> None:
    for format, packed in (
        ("xz", lzma.compress(bytes(12 << 20))),
        ("gz", gzip.compress(bytes(12 << 20))),
        ("bz2", bz2.compress(bytes(12 << 20))),
    ):
        sizes = [len(piece) for piece in unpacked(io.BytesIO(packed), format)]  # type: ignore[arg-type]  # they are formats
        assert (sum(sizes), max(sizes) <= 1 << 20) == (12 << 20, True)


def test_a_stream_gives_what_is_asked_for() -> None:
    stream = Stream(iter([b"abc", b"", b"defgh"]))
    assert stream.exactly(2) == b"ab"
    assert stream.some(10) == b"c"
    assert list(stream.pieces(4)) == [b"defg"]
    assert (stream.some(5), stream.some(5)) == (b"h", b"")
