"""What an item is in a registry: which files travel how, and the same manifest for the same item."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.builder.oci.images import noise

from bentoml.exceptions import BentoMLException
from bentoml.registry.artifact import SHARD, Artifact, Layer, ModelAt, Piece, pieces
from bentoml.registry.bundle import pack, unpack
from bentoml.registry.documents import Descriptor, MediaType
from bentoml.store.digest import Digest
from bentoml.store.tree import Entry, Tree
from bentoml.tag import Tag


def entry(path: str, size: int, *, content: str | None = None, executable: bool = False) -> Entry:
    return Entry(path, size, Digest.of((content or path).encode()), executable=executable)


def shown(tree: Tree, shard: int = SHARD) -> list[tuple[str, int, int, bool]]:
    """Return the first path, start, size and nature of each piece."""
    return [(p.entries[0].path, p.start, p.size, p.is_bundle) for p in pieces(tree, shard=shard)]


def test_each_content_travels_once_and_nothing_without_content() -> None:
    tree = Tree.of(
        [
            entry("a", 5, content="same"),
            entry("b", 5, content="same", executable=True),
            entry("c", 7),
            entry("empty", 0),
            Entry("link", 0, Digest.of(b"a"), link="a"),
        ]
    )
    assert shown(tree) == [("a", 0, 5, False), ("c", 0, 7, False)]
    assert [e.path for e in pieces(tree)[0].entries] == ["a", "b"]
    assert pieces(Tree()) == ()


@pytest.mark.parametrize(
    ("size", "expected"),
    [(99, [99]), (100, [100]), (101, [100, 1]), (300, [100, 100, 100])],
    ids=["below", "one", "above", "three"],
)
def test_a_large_file_travels_in_shards(size: int, expected: list[int]) -> None:
    found = pieces(Tree.of([entry("w", size)]), shard=100)
    assert [piece.size for piece in found] == expected
    assert [piece.start for piece in found] == [100 * number for number in range(len(expected))]
    assert all(piece.is_shard for piece in found) == (len(expected) > 1)


def test_many_small_files_travel_together_and_few_do_not() -> None:
    few, many = ([entry(f"f{number:04}", 10) for number in range(count)] for count in (16, 1000))
    assert len(pieces(Tree.of(few))) == 16
    found = pieces(Tree.of([*many, entry("large", 1 << 20)]))
    assert [piece.is_bundle for piece in found] == [False] + [True] * (len(found) - 1)
    assert 2 <= len(found) <= 20
    assert sorted(e.path for piece in found[1:] for e in piece.entries) == sorted(e.path for e in many)


def test_a_changed_or_added_file_changes_its_bundle_alone() -> None:
    before = {p.entries for p in pieces(Tree.of([entry(f"f{n:04}", 10) for n in range(2000)]))}
    changed = [entry(f"f{n:04}", 10, content="new" if n == 1000 else None) for n in range(2000)]
    after = {p.entries for p in pieces(Tree.of(changed))}
    assert len(after - before) == 1
    added = {p.entries for p in pieces(Tree.of([*changed, entry("f1000a", 10)]))}
    assert 1 <= len(added - after) <= 2


def test_bundles_do_not_grow_without_bounds() -> None:
    tree = Tree.of([entry(f"f{number:04}", 60_000) for number in range(2000)])
    assert max(piece.size for piece in pieces(tree)) <= 4 << 20


CONFIG = Artifact.config_of("bento", b"config")


def artifact(tree: Tree, shard: int = SHARD) -> Artifact:
    layers = tuple(p.descriptor(Digest.of(repr(p).encode()), p.size) for p in pieces(tree, shard=shard))
    whole = {p.entries[0].digest for p in pieces(tree, shard=shard) if not p.is_shard and not p.is_bundle}
    layers = tuple(
        p.descriptor(p.entries[0].digest if p.entries[0].digest in whole else d.digest, p.size)
        for p, d in zip(pieces(tree, shard=shard), layers, strict=True)
    )
    model = ModelAt(Tag("iris", "v1"), Descriptor(MediaType.MANIFEST, Digest.of(b"m"), 3))
    return Artifact("bento", "app:1", CONFIG, layers, (model,))


TREES = {
    "nothing": Tree(),
    "files": Tree.of([entry("a", 5), entry("b", 9), entry("c", 5, content="a")]),
    "shards": Tree.of([entry("a", 5), entry("b", 250), entry("c", 250, content="b"), entry("d", 101)]),
    "bundles": Tree.of([*(entry(f"f{number:04}", 10) for number in range(500)), entry("large", 90_000)]),
}


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_a_manifest_says_what_it_was_made_of(tree: Tree) -> None:
    shard = 100 if "b" in [e.path for e in tree.entries] else SHARD
    made = artifact(tree, shard)
    read = Artifact.parse(made.to_bytes(), "x")
    assert read == made
    assert read.to_bytes() == made.to_bytes()
    assert [layer.piece for layer in read.layers_of(tree, "x")] == list(pieces(tree, shard=shard))
    assert [layer.descriptor for layer in read.layers_of(tree, "x")] == list(made.layers)


def test_layers_of_other_files_are_refused() -> None:
    made = artifact(TREES["files"])
    with pytest.raises(BentoMLException, match="does not fit its list of files: no layer holds `d`"):
        made.layers_of(Tree.of([*TREES["files"].entries, entry("d", 1)]), "x")
    with pytest.raises(BentoMLException, match="is none of its files"):
        made.layers_of(Tree.of([entry("a", 5)]), "x")


def test_a_layer_knows_its_piece() -> None:
    piece = Piece((entry("a", 5),), 0, 5)
    assert Layer(piece.descriptor(piece.entries[0].digest, 5), piece).piece is piece


def test_a_bundle_depends_on_paths_and_contents_alone(tmp_path: Path) -> None:
    contents = {"a": b"1", "sub/ümläut": noise(600), "x" * 90 + "/" + "y" * 90: b"long"}
    entries = [Entry(path, len(data), Digest.of(data), path == "a") for path, data in contents.items()]
    packed = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        for path, data in contents.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        packed.append(pack(folder, entries))
    assert packed[0] == packed[1]
    (tmp_path / "tar").write_bytes(packed[0])
    assert {e.path: data for e, data in unpack(tmp_path / "tar", entries)} == contents
    (tmp_path / "one" / "a").write_bytes(b"12")
    with pytest.raises(BentoMLException, match="is damaged: it has other content"):
        pack(tmp_path / "one", entries)
    (tmp_path / "one" / "a").unlink()
    with pytest.raises(BentoMLException, match="cannot read"):
        pack(tmp_path / "one", entries)
