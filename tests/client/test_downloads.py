"""Files that a server answers with: where they land, whatever it calls them."""

from __future__ import annotations

import copy
import gc
import os
from pathlib import Path
from urllib.parse import quote

import PIL.Image
import pytest

from bentoml.client.downloads import Downloads, file_value
from bentoml.exceptions import BentoMLException


def test_a_program_is_no_image(tmp_path: Path) -> None:
    """Ghostscript would run what a server answers with."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.eps").write_bytes(eps)
    with pytest.raises(BentoMLException, match="cannot identify image"):
        file_value(tmp_path / "a.eps", {"type": "file", "pil": True})


def test_an_image_that_is_a_bomb(tmp_path: Path) -> None:
    PIL.Image.new("1", (14_000, 14_000)).save(tmp_path / "a.png")
    with pytest.raises(BentoMLException, match="not an image that can be read"):
        file_value(tmp_path / "a.png", {"type": "file", "pil": True})


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
def test_names(disposition: str, name: str) -> None:
    downloads = Downloads()
    path = save(downloads, {"content-disposition": disposition, "content-type": "image/png"})
    assert path.parent.name.startswith("bentoml-client-")
    assert path.name.partition("-")[2] == name
    assert path.read_bytes() == b"content"
    downloads.close()


def save(downloads: Downloads, headers: dict[str, str]) -> Path:
    path, file = downloads.new(headers)
    with file:
        file.write(b"content")
    return path


def test_the_same_name_twice() -> None:
    downloads = Downloads()
    headers = {"content-disposition": 'attachment; filename="a"'}
    first, second = save(downloads, headers), save(downloads, headers)
    assert first != second and first.parent == second.parent
    downloads.close()
    assert not first.parent.exists()


def test_a_long_name_keeps_its_end() -> None:
    downloads = Downloads()
    long = quote("\u65e5" * 100 + ".txt")
    for name in (f'filename="{"x" * 500}.txt"', f"filename*=utf-8''{long}"):
        path = save(downloads, {"content-disposition": f"attachment; {name}"})
        assert path.suffix == ".txt"
    downloads.close()


def test_a_forgotten_folder_is_removed() -> None:
    downloads = Downloads()
    path = save(downloads, {})
    del downloads
    gc.collect()
    assert not path.parent.exists()


def test_a_folder_of_somebody_else_stays(tmp_path: Path) -> None:
    downloads = Downloads(tmp_path)
    path = save(downloads, {})
    downloads.close()
    assert path.parent == tmp_path and path.exists()


def test_a_forked_process_leaves_the_folder_alone() -> None:
    downloads = Downloads()
    path = save(downloads, {})
    child = os.fork()
    if child == 0:
        downloads.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert path.exists()
    downloads.close()


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


def test_an_image_is_also_the_path_of_its_file(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (3, 2), "red").save(tmp_path / "a.png")
    image = file_value(tmp_path / "a.png", {"type": "file", "pil": True})
    assert issubclass(type(image), PIL.Image.Image) and image.format == "PNG"
    assert f"{image}" == os.fspath(image) == str(tmp_path / "a.png")
    assert Path(image) == tmp_path / "a.png"
    with open(image, "rb") as file:
        assert file.read(4) == b"\x89PNG"
    for other in (copy.copy(image), copy.deepcopy(image), image.rotate(90)):
        assert isinstance(other, PIL.Image.Image) and not isinstance(other, os.PathLike)
    assert copy.deepcopy(image).getpixel((0, 0)) == (255, 0, 0)
