"""Sinks that are files, and which sink an `--output` names."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.builder.oci.images import Pieces, small_image

from bentoml.builder.backends.archive import ArchiveSink
from bentoml.builder.backends.engine import EngineSink, held_layers
from bentoml.builder.backends.layout import LayoutSink
from bentoml.builder.backends.output import Output, parse_output
from bentoml.builder.backends.registry import RegistrySink
from bentoml.builder.backends.select import open_sink
from bentoml.builder.oci.bases.select import open_base
from bentoml.builder.oci.model import Platform, Sink
from bentoml.exceptions import BentoMLException, InvalidArgument
from bentoml.store.archives.watch import Unwatched

IMAGE = small_image("one", "two")
NOBODY = Unwatched()


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, EngineSink({}, watch=NOBODY)),
        ("type=docker", EngineSink({}, watch=NOBODY)),
        ("type=oci,dest=out", LayoutSink(Path("out"))),
        ("dest=/a=b,type=oci", LayoutSink(Path("/a=b"))),
        ("type=oci-archive,dest=a.tar", ArchiveSink(Path("a.tar"), "oci", NOBODY)),
        ("type=docker-archive,dest=a.tar", ArchiveSink(Path("a.tar"), "docker", NOBODY)),
        ("type=docker,dest=a.tar", ArchiveSink(Path("a.tar"), "docker", NOBODY)),
        ("type=oci,dest=a.tar", ArchiveSink(Path("a.tar"), "oci", NOBODY)),
        ("type=oci,dest=a.tar,tar=false", LayoutSink(Path("a.tar"))),
        ("type=oci,dest=out,tar=true", ArchiveSink(Path("out"), "oci", NOBODY)),
        ("type=oci,dest=-", ArchiveSink(Path("-"), "oci", NOBODY)),
        ("type=image,name=a:1", EngineSink({}, watch=NOBODY)),
    ],
)
def test_outputs(output: str | None, expected: Sink) -> None:
    sink = open_sink(output, env={}, watch=NOBODY)
    assert (type(sink), sink) == (type(expected), expected)


@pytest.mark.parametrize(
    "output",
    ["", "out", "type=oci", "type=oci,dest=", "type=strange,dest=x", "type=oci,dest=x,a=b", "type=oci,dest=x,tar",
     "type=oci,dest=x,tar=maybe", "type=local,dest=x", "type=tar,dest=x", "type=oci\ndest=x", '"type=oci,dest=x'],
)  # fmt: skip
def test_unknown_outputs_are_refused_with_the_known_ones(output: str) -> None:
    with pytest.raises(InvalidArgument, match="type=oci,dest=FOLDER"):
        open_sink(output, env={})


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("type=registry,dest=localhost:5000/a:1", ("localhost:5000/a:1",)),
        ("type=registry,name=localhost:5000/a:1", ("localhost:5000/a:1",)),
        ("type=image,name=host.example/a,push=true", ("host.example/a",)),
        (
            'type=image,"name=host.example/a:1,host.example/a:2",push=true',
            ("host.example/a:1", "host.example/a:2"),
        ),
        ("type=registry", ()),
    ],
)
def test_registries_and_names(output: str, names: tuple[str, ...]) -> None:
    assert parse_output(output) == Output("registry", names=names)
    assert isinstance(open_sink(output, env={}), RegistrySink)


def test_a_key_that_is_nearly_known() -> None:
    with pytest.raises(InvalidArgument, match="unknown key `dst`; did you mean `dest`"):
        parse_output("type=oci,dst=x")


@pytest.mark.parametrize(
    ("sink", "place"), [("oci", "out"), ("oci-archive", "new/a.tar"), ("docker-archive", "new/a.tar")]
)
def test_what_is_written_is_a_base_again(tmp_path: Path, sink: str, place: str) -> None:
    line = open_sink(f"type={sink},dest={tmp_path / place}", env={}).write(IMAGE, ["app:1"])
    assert str(tmp_path / place) in line and "sha256:" in line
    tag = "app:1" if sink == "docker-archive" else "1"
    base = open_base(
        f"{sink}:{tmp_path / place}:{tag}", platform=Platform(), cache=tmp_path / "cache", env={}
    )
    assert [layer.diff_id for layer in base.layers] == [layer.diff_id for layer in IMAGE.layers]


def test_a_failed_archive_leaves_the_old_one(tmp_path: Path) -> None:
    sink = ArchiveSink(tmp_path / "a.tar", "oci")
    sink.write(IMAGE, ["app:1"])
    before = (tmp_path / "a.tar").read_bytes()
    size = IMAGE.layers[0].descriptor.size
    broken = IMAGE._replace(layers=(IMAGE.layers[0]._replace(blob=Pieces((bytes(size),))),))
    with pytest.raises(BentoMLException, match="is damaged"):
        sink.write(broken, ["app:1"])
    assert (tmp_path / "a.tar").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BentoMLException, match=r"cannot write to `.*/file/image`: "):
        open_sink(f"type={kind},dest={tmp_path}/file/image", env={}).write(IMAGE, ["app:1"])


def test_an_archive_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(BentoMLException, match=r"cannot write to `.*/folder`: Is a directory"):
        ArchiveSink(tmp_path / "folder", "oci").write(IMAGE, ["app:1"])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_only_a_common_beginning_counts_as_held() -> None:
    mine = [layer.diff_id for layer in IMAGE.layers]
    texts = [str(diff_id) for diff_id in mine]
    assert held_layers(IMAGE, texts) == set(mine)
    assert held_layers(IMAGE, [*texts[:2], "sha256:other"]) == set(mine[:2])
    assert held_layers(IMAGE, texts[1:]) == set()
    assert held_layers(IMAGE, []) == set()


def test_an_engine_that_is_not_there_is_explained(tmp_path: Path) -> None:
    sink = EngineSink({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    with pytest.raises(BentoMLException, match=r"none\.sock` cannot be reached.*type=oci,dest=FOLDER"):
        sink.write(IMAGE, ["app:1"])
