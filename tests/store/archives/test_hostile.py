"""Archives that want to harm: each is refused as a whole, with a message, and leaves nothing anywhere."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.store.archives.crafting import (
    DEVICE,
    END,
    LINK,
    MANIFEST,
    PIPE,
    REGULAR,
    member,
    pax,
    record,
    special,
    tar,
    zipped,
)

from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.archives.importing import import_item
from bentoml.store.archives.places import open_place
from bentoml.store.archives.unpack import unpack
from bentoml.store.archives.watch import Unwatched
from bentoml.store.archives.zstandard import zst
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.models import Model, ModelStore

LONG = "x" * 256
BOMB = "- &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
FILE = member("w.bin", b"weights")
DEEP = "[" * 5000


def flipped(data: bytes, place: int) -> bytes:
    """Return the bytes with one bit changed."""
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def named(name: str, version: str) -> bytes:
    """Return a manifest with this name and version."""
    return MANIFEST.replace(b"name: evil", f"name: {name!r}".encode()).replace(
        b"v1\nmodule", f"{version!r}\nmodule".encode()
    )


def encrypted() -> bytes:
    """Return a zip whose member says to be encrypted."""
    data = bytearray(zipped(("w.bin", b"weights")))
    local, central = data.rindex(b"PK\3\4"), data.rindex(b"PK\1\2")
    data[local + 6] |= 1
    data[central + 8] |= 1
    return bytes(data)


def renamed_in_directory() -> bytes:
    """Return a zip whose directory gives a member another name than the member itself."""
    data = zipped(("w.bin", b"weights"))
    place = data.rindex(b"w.bin")
    return data[:place] + b"v" + data[place + 1 :]


def lying_size() -> bytes:
    """Return a zip whose directory says that a member is shorter than it is."""
    data = bytearray(zipped(("w.bin", b"weights" * 100), compression=zipfile.ZIP_DEFLATED))
    central = data.rindex(b"PK\1\2")
    data[central + 24 : central + 28] = (7).to_bytes(4, "little")
    return bytes(data)


def overlapping() -> bytes:
    """Return a zip two of whose members are the same bytes."""
    data = bytearray(zipped(("a", b"weights"), ("b", b"weights")))
    second = data.rindex(b"PK\1\2")
    first = data.rindex(b"PK\1\2", 0, second)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


def two_directories() -> bytes:
    """Return a zip that hides another one in its comment."""
    data = zipped(("w.bin", b"weights"))
    hidden = zipped(("other", b"x"))
    return data[:-2] + len(hidden).to_bytes(2, "little") + hidden


def nul_name() -> bytes:
    """Return a zip with a name that ends earlier for programs in C."""
    return zipped(("w.bin_txt", b"x")).replace(b"w.bin_txt", b"w.bin\0txt")


TARS: dict[str, tuple[bytes, str]] = {
    "absolute path": (tar(member("/tmp/evil", b"x")), "absolute"),
    "drive": (tar(member("C:/evil", b"x")), "absolute"),
    "backslash": (tar(member("\\evil", b"x")), "absolute"),
    "climbs": (tar(member("../evil", b"x")), "leaves"),
    "climbs later": (tar(member("a/../../evil", b"x")), "leaves"),
    "climbs with backslashes": (tar(member("..\\..\\evil", b"x")), "leaves"),
    "climbs at the end": (tar(member("a/..", kind=b"5")), "leaves"),
    "climbs by the prefix": (tar(member("evil", b"x", prefix=b"../..")), "leaves"),
    "climbs by pax": (tar(pax(path="../evil"), FILE), "leaves"),
    "climbs by a long name": (tar(member("././@LongLink", b"../evil\0", b"L"), FILE), "leaves"),
    "empty part": (tar(member("a//b", b"x")), "no plain path"),
    "dot inside": (tar(member("a/./b", b"x")), "no plain path"),
    "no name": (tar(member("", b"x")), "no name"),
    "root is a file": (tar(member("./", b"x")), "root"),
    "newline": (tar(member("a\nb", b"x")), "control"),
    "escape": (tar(member("a\x1b[31mb", b"x")), "control"),
    "not utf-8": (tar(member(b"\xff\xfe", b"x")), "UTF-8"),
    "nul by pax": (tar(pax(path="a\0b"), FILE), "control"),
    "long part": (tar(pax(path=LONG), FILE), "too long"),
    "long path": (tar(pax(path="/".join(["abcdefgh"] * 200)), FILE), "too long"),
    "twice": (tar(FILE, FILE), "twice"),
    "twice, the manifest": (tar(member("model.yaml", MANIFEST)), "twice"),
    "twice, once with a dot": (tar(FILE, member("./w.bin", b"x")), "twice"),
    "file, then folder": (tar(FILE, member("w.bin", kind=b"5")), "twice"),
    "file as a folder": (tar(FILE, member("w.bin/x", b"x")), "no folder"),
    "case": (tar(FILE, member("W.bin", b"x")), "one name"),
    "case of a folder": (tar(member("a/x", b"x"), member("A/y", b"x")), "one name"),
    "sharp s": (tar(member("straße", b"x"), member("STRASSE", b"x")), "one name"),
    "accents": (tar(member("\u00e9", b"x"), member("e\u0301", b"x")), "one name"),
    "link outside": (tar(member("l", kind=b"2", link="../../etc")), "outside"),
    "absolute link": (tar(member("l", kind=b"2", link="/etc/passwd")), "outside"),
    "link outside from a folder": (tar(member("a/l", kind=b"2", link="../../x")), "outside"),
    "link of nothing": (tar(member("l", kind=b"2")), "outside"),
    "link that dangles": (tar(member("l", kind=b"2", link="none")), "not inside"),
    "link to itself": (tar(member("l", kind=b"2", link="l")), "not inside"),
    "links in a circle": (tar(member("a", kind=b"2", link="b"), member("b", kind=b"2", link="a")), "not inside"),
    "chained links": (
        tar(member("d/f", b"x"), member("a", kind=b"2", link="."), member("b", kind=b"2", link="d/../a/../..")),
        "outside",
    ),
    "chained links that climb": (
        tar(member("d/e/f", b"x"), member("a", kind=b"2", link="d"), member("d/b", kind=b"2", link="../a/../../x")),
        "outside",
    ),
    "link of a link": (
        tar(member("a", kind=b"2", link="."), member("c", kind=b"2", link="a/.."), member("x", b"x")),
        "not inside",
    ),
    "through a link": (tar(member("l", kind=b"2", link="."), member("l/x", b"x")), "no folder"),
    "link, then file": (tar(member("l", kind=b"2", link="x"), member("l", b"x")), "twice"),
    "manifest is a link": (
        tar(member("m", MANIFEST), member("model.yaml", kind=b"2", link="m"), manifest=None), "damaged",
    ),
    "hard link outside": (tar(member("l", kind=b"1", link="../../etc/passwd")), "leaves"),
    "absolute hard link": (tar(member("l", kind=b"1", link="/etc/passwd")), "absolute"),
    "hard link to nothing": (tar(member("l", kind=b"1", link="none")), "no file before it"),
    "hard link to what comes": (tar(member("l", kind=b"1", link="w.bin"), FILE), "no file before it"),
    "hard link to a link": (
        tar(member("s", kind=b"2", link="/etc"), member("l", kind=b"1", link="s")), "no file before it",
    ),
    "hard link with content": (tar(FILE, member("l", b"x", b"1", "w.bin")), "has content"),
    "character device": (tar(member("d", kind=b"3")), "a device"),
    "block device": (tar(member("d", kind=b"4")), "a device"),
    "named pipe": (tar(member("p", kind=b"6")), "a named pipe"),
    "contiguous": (tar(member("p", kind=b"7")), "contiguous"),
    "sparse": (tar(member("s", kind=b"S")), "a sparse file"),
    "sparse by pax": (tar(member("p", record(b"GNU.sparse.major", b"1"), b"x"), FILE), "sparse"),
    "part of a file": (tar(member("s", kind=b"M")), "a part"),
    "unknown kind": (tar(member("s", kind=b"Z")), "unknown kind"),
    "name for all": (tar(pax(b"g", path="x"), FILE), "all files"),
    "other letters": (tar(pax(hdrcharset="BINARY"), FILE), "hdrcharset"),
    "size that lies": (tar(pax(size="5000"), FILE), "cut off"),
    "size that is too large": (tar(pax(size="999999999999999999"), FILE), "no room"),
    "size that is none": (tar(pax(size="-5"), FILE), "bytes"),
    "negative size": (tar(member("w", b"", size=b"-0000000001\0")), "number"),
    "size in base 256": (tar(member("w", b"", size=b"\x80" + b"\xff" * 11)), "no room"),
    "negative size in base 256": (tar(member("w", b"", size=b"\xff" * 12)), "number"),
    "pax that is none": (tar(member("p", b"nonsense", b"x"), FILE), "damaged header"),
    "pax of length 0": (tar(member("p", b"0 path=x\n", b"x"), FILE), "damaged header"),
    "pax twice": (tar(member("p", record(b"path", b"a") * 2, b"x"), FILE), "damaged header"),
    "pax at the end": (tar(FILE, pax(path="x")), "long name"),
    "large pax": (tar(member("p", bytes(2 << 20), b"x"), FILE), "a header of"),
    "checksum": (flipped(tar(FILE), 512 * 2 + 3), "checksum"),
    "cut off in a file": (tar(FILE)[: 512 * 3 + 3], "cut off"),
    "cut off in a header": (tar(FILE)[: 512 * 2 + 100], "cut off"),
    "no end": (tar(FILE, end=b""), "cut off"),
    "something behind": (tar(FILE) + b"x" * 512, "follows its end"),
    "another tar behind": (tar(FILE) + tar(FILE), "follows its end"),
    "no manifest": (tar(FILE, manifest=None), "no item"),
    "manifest below": (tar(member("a/model.yaml", MANIFEST), manifest=None), "no item"),
    "manifest is a folder": (tar(member("model.yaml", kind=b"5"), manifest=None), "no item"),
    "manifest of a bento": (tar(member("bento.yaml", MANIFEST), manifest=None), "bentoml import"),
    "both manifests": (tar(member("bento.yaml", MANIFEST)), "both"),
    "empty manifest": (tar(manifest=b""), "damaged"),
    "manifest that is a list": (tar(manifest=b"- a"), "damaged"),
    "manifest in latin 1": (tar(manifest=MANIFEST + "x: é".encode("latin-1")), "damaged"),
    "key twice": (tar(manifest=MANIFEST + b"name: other\n"), "damaged"),
    "python object": (tar(manifest=MANIFEST + b"x: !!python/object/apply:os.system [id]\n"), "damaged"),
    "aliases without end": (tar(manifest=MANIFEST + b"x:\n" + BOMB.encode()), "damaged"),
    "deep": (tar(manifest=MANIFEST + b"x: " + DEEP.encode()), "damaged"),
    "long manifest": (tar(manifest=MANIFEST + b"x: " + b"y" * (5 << 20)), "damaged"),
    "name that climbs": (tar(manifest=named("../../evil", "v1")), "damaged"),
    "absolute name": (tar(manifest=named("/tmp/evil", "v1")), "damaged"),
    "version that climbs": (tar(manifest=named("evil", "../../x")), "damaged"),
    "version with a newline": (tar(manifest=named("evil", "a\nb")), "damaged"),
    "version latest": (tar(manifest=named("evil", "latest")), "latest"),
    "no version": (tar(manifest=named("evil", "")), "damaged"),
    "digest without files": (tar(manifest=MANIFEST + b"digest: sha256:" + b"0" * 64 + b"\n"), "damaged"),
}  # fmt: skip

ZIPS: dict[str, tuple[bytes, str]] = {
    "absolute path": (zipped(("/tmp/evil", b"x")), "absolute"),
    "climbs": (zipped(("../evil", b"x")), "leaves"),
    "no name": (zipped(special("", REGULAR)), "no name of a file"),
    "climbs with backslashes": (zipped(("..\\evil", b"x")), "leaves"),
    "case": (zipped(("a", b"x"), ("A", b"x")), "one name"),
    "encrypted": (encrypted(), "encrypted"),
    "nul in a name": (nul_name(), "NUL"),
    "other name in the directory": (renamed_in_directory(), "damaged"),
    "lying size": (lying_size(), "zip"),
    "overlap": (overlapping(), "overlap"),
    "two directories": (two_directories(), "zip"),
    "something before": (b"#!/bin/sh\n" + zipped(("w.bin", b"x")), "no archive"),
    "something behind": (zipped(("w.bin", b"x")) + b"x" * 50, "zip"),
    "another zip behind": (zipped(("w.bin", b"x")) + zipped(("w.bin", b"y")), "between"),
    "link outside": (zipped(special("l", LINK, b"../../etc")), "outside"),
    "absolute link": (zipped(special("l", LINK, b"/etc/passwd")), "outside"),
    "named pipe": (zipped(special("p", PIPE)), "neither a file"),
    "device": (zipped(special("d", DEVICE)), "neither a file"),
    "cut off": (zipped(("w.bin", b"x" * 1000))[:-30], "zip"),
    "changed content": (flipped(zipped(("w.bin", b"weights")), zipped(("w.bin", b"weights")).index(b"weights")), "zip"),
    "no manifest": (zipped(("w.bin", b"x"), manifest=None), "no item"),
    "only the end": (b"PK\x05\x06" + bytes(18), "no item"),
}  # fmt: skip

XZ = lzma.compress(tar(FILE))
ZST = b"".join(zst([tar(FILE)]))
PACKED: dict[str, tuple[bytes, str]] = {
    "xz cut off": (XZ[:-20], "cut off"),
    "xz changed": (flipped(XZ, len(XZ) // 2), "xz compression is damaged"),
    "xz with something behind": (XZ + b"something else", "xz"),
    "xz of no tar": (lzma.compress(b"x" * 5000), "checksum"),
    "xz of nothing": (lzma.compress(b""), "cut off"),
    "xz of an xz": (lzma.compress(XZ + bytes(512)), "checksum"),
    "xz cut off early": (XZ[:30], "cut off"),
    "gz cut off": (gzip.compress(tar(FILE))[:-5], "cut off"),
    "gz changed": (flipped(gzip.compress(tar(FILE)), 60), "damaged"),
    "gz with something behind": (gzip.compress(tar(FILE)) + b"something", "damaged"),
    "gz checksum": (flipped(gzip.compress(tar(FILE)), len(gzip.compress(tar(FILE))) - 6), "damaged"),
    "bz2 cut off": (bz2.compress(tar(FILE))[:-5], "cut off"),
    "bz2 changed": (flipped(bz2.compress(tar(FILE)), 60), "damaged"),
    "zst cut off": (ZST[:-5], "cut off"),
    "zst changed": (flipped(ZST, len(ZST) - 2), "damaged"),
    "zst with something behind": (ZST + b"something", "damaged"),
    "gz twice": (gzip.compress(tar(FILE)) * 2, "follows its end"),
}

CASES = {
    **{f"tar, {name}": case for name, case in TARS.items()},
    **{f"zip, {name}": case for name, case in ZIPS.items()},
    **PACKED,
}


def everything(folder: Path) -> dict[str, bytes | None]:
    """Return all that lies under a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder around the store, in which nothing may change."""
    (tmp_path / "evil").write_text("untouched")
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_and_leaves_nothing(outside: Path, name: str) -> None:
    data, said = CASES[name]
    archive = outside / "archive.bentomodel"
    archive.write_bytes(data)
    home = Home(outside / "a" / "b" / "home")
    before = everything(outside)
    with pytest.raises(BentoMLException) as caught:
        import_item(Model, open_place(archive), home=home)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"`{archive}` is not imported: ")
    assert "\n" not in str(caught.value), "one line"
    left = {path for path in everything(outside) if path not in before}
    assert left <= {"a", "a/b", "a/b/home", "a/b/home/staging", "a/b/home/store.lock"}
    assert {path: content for path, content in everything(outside).items() if path in before} == before
    assert ModelStore(home).list() == []


def test_there_are_more_than_a_hundred() -> None:
    assert len(CASES) >= 100


def test_the_honest_archive_is_taken(home: Home, tmp_path: Path) -> None:
    """Or else the others might be refused for nothing."""
    for number, data in enumerate(
        [tar(FILE), zipped(("w.bin", b"weights")), XZ, gzip.compress(tar(FILE)), bz2.compress(tar(FILE))]
    ):
        archive = tmp_path / f"{number}"
        archive.write_bytes(data)
        (received,) = import_item(Model, open_place(archive), home=home)
        assert Path(received.item.path_of("w.bin")).read_bytes() == b"weights"
        assert received.is_new == (number == 0)


HONEST: dict[str, bytes] = {
    "dots before the names": tar(member("./", kind=b"5"), member("./w.bin", b"weights"), end=bytes(10240)),
    "long names": tar(member("././@LongLink", b"n" * 150 + b"\0", b"L"), FILE),
    "pax": tar(pax(path="größe/" + "x" * 120, mtime="1.5"), FILE),
    "prefix": tar(member("w.bin", b"x", prefix=b"a/b")),
    "old tar": tar(member("w.bin", b"x", b"\0", magic=b"")),
    "old tar with a folder": tar(member("a/", kind=b"\0", magic=b"")),
    "gnu tar": tar(member("w.bin", b"x", magic=b"ustar  \0")),
    "link inside": tar(FILE, member("d/l", kind=b"2", link="../w.bin")),
    "link to a link": tar(FILE, member("a", kind=b"2", link="b"), member("b", kind=b"2", link="w.bin")),
    "hard links, chained": tar(FILE, member("a", kind=b"1", link="w.bin"), member("b", kind=b"1", link="a")),
    "folder twice": tar(member("d", kind=b"5"), member("d", kind=b"5"), member("d/x", b"x")),
    "archive in an archive": tar(member("inner.tar", tar(member("../evil", b"x")))),
    "zip with folders": zipped(("d/", b""), ("d/x", b"x")),
    "zip with a link": zipped(("w.bin", b"x"), special("l", LINK, b"w.bin")),
    "deflated zip": zipped(("w.bin", b"x" * 1000), compression=zipfile.ZIP_DEFLATED),
    "zip by lzma": zipped(("w.bin", b"x" * 1000), compression=zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_is_unusual_but_honest_is_taken(home: Home, tmp_path: Path, name: str) -> None:
    (tmp_path / "archive").write_bytes(HONEST[name])
    (received,) = import_item(Model, open_place(tmp_path / "archive"), home=home)
    assert received.is_new
    assert str(received.item.tag) == "evil:v1"


def test_hard_links_become_files_of_their_own(home: Home, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(HONEST["hard links, chained"])
    (received,) = import_item(Model, open_place(tmp_path / "archive"), home=home)
    assert {Path(received.item.path_of(name)).read_bytes() for name in ("w.bin", "a", "b")} == {b"weights"}


def test_a_zip_that_was_streamed(home: Home, tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        """A file that cannot be gone back in, so that sizes stand behind the members."""

        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.data += data  # type: ignore[arg-type]  # bytes
            return len(data)  # type: ignore[arg-type]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        archive.writestr("model.yaml", MANIFEST)
        archive.writestr("w.bin", b"weights")
    (tmp_path / "archive").write_bytes(bytes(pipe.data))
    (received,) = import_item(Model, open_place(tmp_path / "archive"), home=home)
    assert Path(received.item.path_of("w.bin")).read_bytes() == b"weights"


def test_large_zips_have_other_records(home: Home, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.yaml", MANIFEST)
        with archive.open("w.bin", "w", force_zip64=True) as file:
            file.write(b"weights")
    (tmp_path / "archive").write_bytes(buffer.getvalue())
    (received,) = import_item(Model, open_place(tmp_path / "archive"), home=home)
    assert Path(received.item.path_of("w.bin")).read_bytes() == b"weights"


@pytest.mark.slow
@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress], ids=["gz", "xz", "bz2"])
def test_a_bomb_is_put_out(outside: Path, pack: Callable[[bytes], bytes]) -> None:
    size = 600 << 20
    data = pack(member("model.yaml", MANIFEST) + member("zeros", b"", size=size)) + pack(bytes(size) + END)
    (outside / "bomb").write_bytes(data)
    home = Home(outside / "home")
    with pytest.raises(BentoMLException, match="200 times its own size"):
        import_item(Model, open_place(outside / "bomb"), home=home)
    assert list(home.staging.iterdir()) == []


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(tar(*(member(f"{number}") for number in range(4))))
    (tmp_path / "target").mkdir()
    with (
        (tmp_path / "archive").open("rb") as file,
        pytest.raises(BentoMLException, match="more than 4 files"),
    ):
        unpack(file, "tar", tmp_path / "target", watch=Unwatched(), most=4)


def bento(*parts: bytes) -> bytes:
    """Return the archive of a bento with these members."""
    manifest = b"service: s:S\nname: b\nversion: v1\nbentoml_version: 1.4.39\ncreation_time: '2026-01-01T00:00:00+00:00'\n"
    return tar(member("bento.yaml", manifest), *parts, manifest=None)


BENTOS: dict[str, tuple[bytes, str]] = {
    "file among the models": (bento(member("models/evil/x", b"x")), "belongs to no model"),
    "link among the models": (
        bento(member("src/x", b"x"), member("models/evil/latest", kind=b"2", link="../../src/x")), "belongs to no model",
    ),
    "a model that is damaged": (bento(member("models/evil/v1/model.yaml", b"- x")), "damaged"),
    "a model that leads outside": (
        bento(member("models/evil/v1/model.yaml", MANIFEST), member("models/evil/v1/l", kind=b"2", link="../../../x"),
              member("x", b"x")), "not inside",
    ),
    "a model and a bento": (
        bento(member("models/evil/v1/model.yaml", MANIFEST), member("models/evil/v1/bento.yaml", b"x")), "both",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BENTOS)
def test_a_bento_is_refused_with_its_models(home: Home, tmp_path: Path, name: str) -> None:
    data, said = BENTOS[name]
    (tmp_path / "archive.bento").write_bytes(data)
    with pytest.raises(BentoMLException, match=said):
        import_item(Bento, open_place(tmp_path / "archive.bento"), home=home)
    assert (ModelStore(home).list(), BentoStore(home).list()) == ([], [])
    assert list(home.staging.iterdir()) == []


def test_an_honest_bento_is_taken_with_its_models(home: Home, tmp_path: Path) -> None:
    data = bento(
        member("models/evil/v1/model.yaml", MANIFEST),
        member("models/evil/latest", b"v1"),
        member("src/s.py", b""),
    )
    (tmp_path / "archive.bento").write_bytes(data)
    received = import_item(Bento, open_place(tmp_path / "archive.bento"), home=home)
    assert [str(one.item.tag) for one in received] == ["evil:v1", "b:v1"]
    assert [entry.path for entry in received[-1].item.tree.entries] == ["src/s.py"]
