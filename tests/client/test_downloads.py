"""Files that a server answers with: where they land, whatever it calls them."""

from __future__ import annotations

import gc
from pathlib import Path
from urllib.parse import quote

import PIL.Image
import pytest

from bentoml.client.downloads import file_value, save
from bentoml.exceptions import BentoMLException


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="out.txt"', "out.txt"),
        ("attachment; filename=out.txt", "out.txt"),
        ("attachment; filename*=utf-8''%C3%A9%20x.txt", "é x.txt"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="..%2F..%2Fpasswd"', "passwd"),
        (r'attachment; filename="C:\\temp\\out.txt"', "out.txt"),
        ('attachment; filename=".."', "answer.png"),
        ('attachment; filename="a:b*c"', "a_b_c"),
        ("attachment", "answer.png"),
        ("", "answer.png"),
    ],
)
def test_names(tmp_path: Path, disposition: str, name: str) -> None:
    path = save([b"a", b"b"], tmp_path, {"content-disposition": disposition, "content-type": "image/png"})
    assert path.parent == tmp_path
    assert path.name.partition("-")[2] == name
    assert path.read_bytes() == b"ab"


def test_the_same_name_twice(tmp_path: Path) -> None:
    headers = {"content-disposition": 'attachment; filename="a"'}
    assert save([b"1"], tmp_path, headers) != save([b"2"], tmp_path, headers)
    assert sorted(p.read_bytes() for p in tmp_path.iterdir()) == [b"1", b"2"]


def test_a_long_name_keeps_its_end(tmp_path: Path) -> None:
    path = save([], tmp_path, {"content-disposition": f'attachment; filename="{"x" * 500}.txt"'})
    assert path.name.endswith("x.txt")
    long = quote("\u65e5" * 100 + ".txt")
    assert (
        save([], tmp_path, {"content-disposition": f"attachment; filename*=utf-8''{long}"}).suffix == ".txt"
    )


def test_an_image_of_several_frames_leaves_no_file_open(tmp_path: Path) -> None:
    frames = [PIL.Image.new("L", (3, 2), colour) for colour in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    image = file_value(tmp_path / "a.gif", {"type": "file", "pil": True})
    assert image.n_frames == 2
    del image
    gc.collect()  # a file left open would be a warning, and that an error


def test_values(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    assert file_value(tmp_path / "a.png", {"type": "file"}) == tmp_path / "a.png"
    image = file_value(tmp_path / "a.png", {"type": "file", "pil": True})
    assert image.size == (3, 2)
    assert Path(image.filename) == tmp_path / "a.png"


def test_an_image_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(BentoMLException, match="is not an image"):
        file_value(tmp_path / "a.png", {"type": "file", "pil": True})
