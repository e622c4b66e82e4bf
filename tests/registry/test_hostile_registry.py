"""A registry that lies gets nothing into the store, and nothing anywhere else."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builder.oci.images import noise, small_image
from tests.registry.fake_registry import FakeRegistry, running
from tests.registry.items import save_bento, save_model

from bentoml.config import Home
from bentoml.exceptions import BentoMLException, NotFound, ServiceUnavailable
from bentoml.registry.artifact import Artifact, pieces
from bentoml.registry.bundle import pack
from bentoml.registry.documents import Descriptor, MediaType
from bentoml.registry.pull import Pulling, pull
from bentoml.registry.push import Pushing, push
from bentoml.registry.reference import Reference
from bentoml.registry.transport import Transport
from bentoml.store.digest import Digest, canonical_json
from bentoml.store.manifest import ModelInfo
from bentoml.store.models import ModelStore
from bentoml.store.tree import Entry, Tree
from bentoml.tag import Tag

Layers = Callable[[tuple[Descriptor, ...]], Sequence[Descriptor]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def quick() -> Transport:
    """Wait for nothing."""
    return Transport(pause=lambda seconds: None)


def refused(
    registry: FakeRegistry, home: Home, words: str, error: type[Exception] = BentoMLException
) -> None:
    """Pull the forged model, which must fail with these words and leave nothing."""
    place = Reference.parse(f"{registry.host}/team/evil:1")
    with pytest.raises(error, match=words):
        pull("model", place, Pulling(home, {}, transport=quick))
    assert ModelStore(home).list() == []
    left = [path for path in home.root.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert all(path.is_relative_to(home.cache) for path in left), left
    assert sorted(path.name for path in home.root.parent.iterdir()) in (["home"], [])


def entry(path: str, data: bytes = b"", link: str | None = None, size: int | None = None) -> Entry:
    """Describe a file that is what it says, or has another size."""
    if link is not None:
        return Entry(path, 0, Digest.of(link.encode()), link=link)
    return Entry(path, len(data) if size is None else size, Digest.of(data))


def forged(
    registry: FakeRegistry,
    files: Mapping[str, bytes],
    *more: Entry,
    config: Callable[[str], str] = str,
    layers: Layers = tuple,
) -> None:
    """Put a model into the registry whose digests are all right, whatever else is wrong."""
    tree = Tree.of([*(entry(path, data) for path, data in files.items()), *more])
    info = ModelInfo(tag=Tag("evil", "1"), listing=tree.lines())
    text = config(replace(info, digest=info.identity(tree)).timeless().to_yaml()).encode()
    registry.blobs |= {str(Digest.of(data)): data for data in (*files.values(), text)}
    described = tuple(
        piece.descriptor(piece.entries[0].digest, piece.size) for piece in pieces(tree) if not piece.is_bundle
    )
    artifact = Artifact("model", "evil:1", Artifact.config_of("model", text), tuple(layers(described)))
    registry.add_document("team/evil", "1", MediaType.MANIFEST, artifact.to_bytes())


WEIGHTS = noise(100_000)


def test_what_is_forged_well_is_taken(registry: FakeRegistry, home: Home) -> None:
    """Else the other tests would show nothing."""
    forged(registry, {"weights": WEIGHTS, "sub/f": b"f"}, entry("link", link="sub/f"), entry("empty"))
    place = Reference.parse(f"{registry.host}/team/evil:1")
    item = pull("model", place, Pulling(home, {})).item
    assert Path(item.path, "weights").read_bytes() == WEIGHTS
    assert Path(item.path, "link").read_text() == "f"


@pytest.mark.parametrize(
    ("data", "words", "error"),
    [
        (WEIGHTS[:-1] + b"!", "gave `sha256:.*` when asked for", BentoMLException),
        (WEIGHTS + b"!", "sends more than its 100000 bytes", BentoMLException),
        (WEIGHTS[:-1], "ended .* after 99999 of 100000 bytes", ServiceUnavailable),
        (b"", "ended .* after 0 of 100000 bytes", ServiceUnavailable),
    ],
    ids=["other", "longer", "shorter", "empty"],
)
def test_a_blob_that_is_not_what_its_digest_says(
    registry: FakeRegistry, home: Home, data: bytes, words: str, error: type[Exception]
) -> None:
    forged(registry, {"weights": WEIGHTS})
    registry.blobs[str(Digest.of(WEIGHTS))] = data
    refused(registry, home, words, error)


def test_a_blob_without_an_end(registry: FakeRegistry, home: Home) -> None:
    forged(registry, {"weights": WEIGHTS})
    registry.endless = True
    refused(registry, home, r"sends more than its \d+ bytes")


@pytest.mark.parametrize("path", ["../evil", "/evil", "a/../../evil", "a//b", "./a", "", "a/."])
def test_a_path_that_leaves_the_item(registry: FakeRegistry, home: Home, path: str) -> None:
    forged(registry, {path: WEIGHTS})
    refused(registry, home, "leaves its item")


@pytest.mark.parametrize(
    "more",
    [
        [entry("link", link="../../../../evil")],
        [entry("link", link="/etc/passwd")],
        [entry("link", link="nowhere")],
        [entry("one", link="two"), entry("two", link="one")],
        [entry("link", link="sub"), entry("link/f", b"f")],
        [entry("link", link="..")],
        [entry("f", link="sub/g")],
        [entry("model.yaml")],
        [entry("model.yaml", link="f")],
        [entry("f/g")],
        [entry("a\nb")],
        [entry("x" * 300)],
    ],
    ids=[
        "out", "absolute", "dangling", "loop", "through", "parent", "twice", "manifest", "manifest-link", "in-a-file",
        "newline", "long",
    ],
)  # fmt: skip
def test_files_that_an_item_cannot_have(registry: FakeRegistry, home: Home, more: list[Entry]) -> None:
    forged(registry, {"f": b"f", "sub/g": b"g"}, *more)
    refused(
        registry, home, "leads to|where it cannot have one|control characters|in the place of its manifest"
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (lambda text: text.replace("v1", "v2"), r"`model\.yaml` is damaged"),
        (lambda text: text.replace("digest:", "digost:"), r"`model\.yaml` is damaged"),
        (lambda text: "- 1", r"`model\.yaml` is damaged"),
        (lambda text: "[" * 10_000, r"`model\.yaml` is damaged"),
        (lambda text: "\0", r"`model\.yaml` is damaged"),
        (lambda text: f'{text}- {{"path":"f"}}\n', r"`model\.yaml` is damaged"),
    ],
    ids=["changed", "no-digest", "list", "deep", "binary", "half-a-file"],
)
def test_a_manifest_of_an_item_that_is_none(
    registry: FakeRegistry, home: Home, config: Callable[[str], str], words: str
) -> None:
    forged(registry, {"weights": WEIGHTS}, config=config)
    refused(registry, home, words)


OTHER = Descriptor("application/vnd.bentoml.file.v1", Digest.of(b"other"), 5)
BUNDLE = Descriptor(
    "application/vnd.bentoml.files.v1.tar", Digest.of(b"tar"), 10_240, {"vnd.bentoml.count": "1"}
)


@pytest.mark.parametrize(
    "layers",
    [
        lambda good: [],
        lambda good: [*good, OTHER],
        lambda good: [*good, *good],
        lambda good: [*good] * 10_000,
        lambda good: [good[0]._replace(size=5)],
        lambda good: [good[0]._replace(size=1 << 60)],
        lambda good: [good[0]._replace(media_type="text/html")],
        lambda good: [good[0]._replace(media_type="application/vnd.bentoml.shard.v1")],
        lambda good: [OTHER._replace(media_type="application/vnd.bentoml.shard.v1", annotations={"vnd.bentoml.file": str(good[0].digest)})],
        lambda good: [*good, BUNDLE],
        lambda good: [BUNDLE],
        lambda good: [BUNDLE._replace(annotations={"vnd.bentoml.count": "-1"})],
        lambda good: [BUNDLE._replace(annotations={"vnd.bentoml.count": "9" * 5000})],
        lambda good: [BUNDLE._replace(size=1 << 60)],
    ],
    ids=[
        "none", "more", "twice", "very-often", "short", "huge", "type", "no-shard", "few-shards", "bundle-more", "bundle-small",
        "negative", "absurd", "bundle-huge",
    ],
)  # fmt: skip
def test_layers_that_are_not_the_files(registry: FakeRegistry, home: Home, layers: Layers) -> None:
    forged(registry, {"weights": WEIGHTS}, layers=layers)
    registry.seen.clear()
    refused(registry, home, "its manifest does not fit its list of files")
    assert len(registry.seen) == 2, "no layer was asked for"


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def member(name: str, size: int, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


@pytest.mark.parametrize(
    "tar",
    [
        tar_of((member("f", 1), b"g")),
        tar_of((member("g", 1), b"f")),
        tar_of((member("../f", 1), b"f")),
        tar_of((member("f", 1), b"f"), (member("../evil", 1), b"f")),
        tar_of((member("f", 0, tarfile.SYMTYPE, "/etc/passwd"), b"")),
        tar_of((member("f", 0, tarfile.LNKTYPE, "/etc/passwd"), b"")),
        tar_of((member("f", 0, tarfile.CHRTYPE), b"")),
        tar_of(),
        b"no tar" * 100,
        tar_of((member("f", 1), b"f"))[:700],
    ],
    ids=["content", "name", "path", "more", "symlink", "hardlink", "device", "empty", "garbage", "cut"],
)
def test_a_bundle_that_does_not_hold_its_files(registry: FakeRegistry, home: Home, tar: bytes) -> None:
    described = BUNDLE._replace(digest=Digest.of(tar), size=len(tar))
    forged(registry, {"f": b"f"}, layers=lambda good: [described])
    registry.blobs[str(described.digest)] = tar
    refused(registry, home, "bundle|has not the content")


def test_a_bundle_that_is_right_is_taken(registry: FakeRegistry, home: Home, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"f")
    tar = pack(tmp_path, [entry("f", b"f")])
    (tmp_path / "f").unlink()
    described = BUNDLE._replace(digest=Digest.of(tar), size=len(tar))
    forged(registry, {"f": b"f"}, layers=lambda good: [described])
    registry.blobs[str(described.digest)] = tar
    item = pull("model", Reference.parse(f"{registry.host}/team/evil:1"), Pulling(home, {})).item
    assert Path(item.path, "f").read_bytes() == b"f"


def test_what_is_no_item_is_named(registry: FakeRegistry, home: Home) -> None:
    registry.add("team/evil", "1", small_image("one"))
    refused(registry, home, "is no bento and no model but a container image")
    registry.add_index("team/evil", "1", small_image("one"))
    refused(registry, home, "is no bento and no model but an index of several things")
    registry.add_document("team/evil", "1", MediaType.MANIFEST, b"{}")
    refused(registry, home, "is no bento and no model")
    registry.add_document("team/evil", "1", MediaType.MANIFEST, b"[" * 100_000)
    refused(registry, home, "not JSON")


@pytest.mark.parametrize(
    "change",
    [
        {"layers": None},
        {"layers": [1]},
        {"config": None},
        {"config": {"mediaType": "x", "digest": "sha256:../../etc", "size": 1}},
        {"config": {"mediaType": "x", "digest": f"sha256:{'0' * 64}", "size": True}},
        {"annotations": {"vnd.bentoml.models": "[1]"}},
        {"annotations": {"vnd.bentoml.models": "{"}},
        {"annotations": {"vnd.bentoml.models": '[{"tag": "../x", "digest": "x", "size": 1}]'}},
    ],
    ids=["no-layers", "numbers", "no-config", "path", "true", "models", "half", "bad-tag"],
)
def test_a_senseless_manifest(registry: FakeRegistry, home: Home, change: dict[str, object]) -> None:
    forged(registry, {"weights": WEIGHTS})
    manifest = json.loads(registry.manifests["team/evil/1"][1]) | change
    registry.add_document("team/evil", "1", MediaType.MANIFEST, canonical_json(manifest))
    refused(registry, home, "is not a descriptor|no list `layers`|list of models cannot be read")


def test_documents_that_are_too_large(registry: FakeRegistry, home: Home) -> None:
    forged(registry, {"weights": WEIGHTS})
    manifest = json.loads(registry.manifests["team/evil/1"][1])
    manifest["config"]["size"] = 1 << 40
    registry.add_document("team/evil", "1", MediaType.MANIFEST, canonical_json(manifest))
    refused(registry, home, r"a manifest of \d+ bytes is too large")
    registry.add_document("team/evil", "1", MediaType.MANIFEST, b" " * (5 << 20))
    refused(registry, home, "sent more than 4194304 bytes for a document")


def test_a_manifest_with_another_digest_than_the_registry_says(registry: FakeRegistry, home: Home) -> None:
    forged(registry, {"weights": WEIGHTS})
    registry.said_digest = str(Digest.of(b"else"))
    refused(registry, home, "says that it has `sha256:.*`, not")


def test_a_token_service_elsewhere_gets_no_credentials(registry: FakeRegistry, tmp_path: Path) -> None:
    model = save_model(Home(tmp_path / "here"))
    (tmp_path / "config.json").write_text(
        json.dumps({"auths": {registry.host: {"username": "me", "password": "secret"}}})
    )
    env = {"DOCKER_CONFIG": str(tmp_path)}
    with running(FakeRegistry()) as thief:
        registry.realm = f"http://{thief.host}/token"
        with pytest.raises(BentoMLException, match="no credentials go there"):
            push(model, Reference.parse(f"{registry.host}/x/y:1"), Pushing(Home(tmp_path / "here"), env))
        assert thief.seen == []


def test_a_model_of_a_bento_that_is_another_one(registry: FakeRegistry, home: Home, tmp_path: Path) -> None:
    here = Home(tmp_path / "home")  # the tests look at what lies beside it
    wanted, other = save_model(here), save_model(here, "other")
    bento = save_bento(here, wanted)
    place = Reference.parse(f"{registry.host}/team/app:1")
    push(bento, place, Pushing(here, {}))
    push(other, Reference.parse(f"{registry.host}/team/app:other"), Pushing(here, {}))
    manifest = json.loads(registry.manifests["team/app/1"][1])
    data = registry.manifests["team/app/other"][1]
    models = [{"tag": str(wanted.tag), "digest": str(Digest.of(data)), "size": len(data)}]
    manifest["annotations"]["vnd.bentoml.models"] = json.dumps(models)
    registry.add_document("team/app", "1", MediaType.MANIFEST, canonical_json(manifest))
    there = Home(tmp_path / "there")
    with pytest.raises(BentoMLException, match=f"needs model `{wanted.tag}`.*has `{other.tag}`"):
        pull("bento", place, Pulling(there, {}))
    assert ModelStore(there).list() == []
    del registry.manifests[f"team/app/{Digest.of(data)}"]
    with pytest.raises(NotFound):
        pull("bento", place, Pulling(there, {}))
