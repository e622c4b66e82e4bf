"""Items travel to a registry and back: whole, once, and nothing that is damaged."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.builder.oci.images import noise
from tests.registry.fake_registry import FakeRegistry
from tests.registry.items import save_bento, save_model
from tests.store.meanwhile import meanwhile

from bentoml.config import Home
from bentoml.exceptions import BentoMLException, NotFound
from bentoml.registry.pull import Pulled, Pulling, pull
from bentoml.registry.push import Pushed, Pushing, push
from bentoml.registry.reference import Reference
from bentoml.registry.transport import Transport
from bentoml.store.bentos import Bento, BentoStore
from bentoml.store.models import Model, ModelStore
from bentoml.store.scan import scan


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return Home(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Home:
    return Home(tmp_path / "there")


def quick() -> Transport:
    """Wait for nothing."""
    return Transport(pause=lambda seconds: None)


def place(registry: FakeRegistry, name: str) -> Reference:
    return Reference.parse(f"{registry.host}/{name}")


def pushed(
    registry: FakeRegistry, home: Home, item: Model | Bento, name: str | None = None, **how: object
) -> Pushed:
    options = Pushing(home, {}, transport=quick)._replace(**how)  # type: ignore[arg-type]
    return push(item, place(registry, name or f"team/{item.tag.name}:{item.tag.version}"), options)


def pulled(
    registry: FakeRegistry, home: Home, item: Model | Bento, name: str | None = None, **how: object
) -> Pulled:
    options = Pulling(home, {}, transport=quick)._replace(**how)  # type: ignore[arg-type]
    kind = "model" if isinstance(item, Model) else "bento"
    return pull(kind, place(registry, name or f"team/{item.tag.name}:{item.tag.version}"), options)  # type: ignore[arg-type]


def assert_same(one: Model | Bento, other: Model | Bento) -> None:
    """Compare two items by what lies on the disk."""
    assert (one.tag, one.digest, one.info.labels) == (other.tag, other.digest, other.info.labels)
    assert scan(Path(one.path), skip=one.info.FILE) == scan(Path(other.path), skip=one.info.FILE)


@pytest.mark.parametrize("small", [0, 300], ids=["few", "many"])
def test_a_model_that_is_deleted_meanwhile_is_said_to_be(
    registry: FakeRegistry, here: Home, small: int
) -> None:
    model, store = save_model(here, small=small), ModelStore(here)

    def delete(count: int) -> None:
        if store.tags():
            store.delete(model.tag)

    with pytest.raises(NotFound, match=f"^model `{model.tag}` was deleted while it was read$"):
        pushed(registry, here, model, threads=1, told=delete)


def test_a_bento_whose_model_is_deleted_meanwhile(registry: FakeRegistry, here: Home) -> None:
    model = save_model(here)
    bento = save_bento(here, model)
    with pytest.raises(NotFound, match=f"^model `{model.tag}` was deleted while it was read$"):
        pushed(registry, here, bento, expected=lambda count: shutil.rmtree(model.path))


@pytest.mark.parametrize("small", [0, 3, 300], ids=["few", "some", "many"])
@pytest.mark.parametrize("shard", [4 << 30, 100_000], ids=["whole", "shards"])
def test_a_model_comes_back_as_it_went(
    registry: FakeRegistry, here: Home, there: Home, small: int, shard: int
) -> None:
    model = save_model(here, small=small)
    pushed(registry, here, model, shard=shard)
    back = pulled(registry, there, model)
    assert back.is_new
    assert_same(model, back.item)
    assert list(there.staging.iterdir()) == []
    assert list((there.cache / "registry" / "partial").iterdir()) == []


def test_a_push_of_what_is_there_asks_once_and_sends_nothing(registry: FakeRegistry, here: Home) -> None:
    model = save_model(here)
    first = pushed(registry, here, model)
    registry.seen.clear()
    again = pushed(registry, here, model)
    assert [method for method, _, _ in registry.seen] == ["GET"]
    assert (again.digest, again.sent_bytes, again.sent_blobs) == (first.digest, 0, 0)


def test_a_changed_file_is_all_that_is_sent(registry: FakeRegistry, here: Home) -> None:
    weights = noise(2_000_000)
    pushed(registry, here, save_model(here, weights=weights, small=300))
    before = registry.received
    changed = save_model(here, weights=weights, small=299)
    sent = pushed(registry, here, changed)
    assert sent.sent_bytes == registry.received - before < 800_000, (
        "bundles and the manifest, not the weights"
    )


def test_a_pull_of_what_is_there_fetches_two_documents(
    registry: FakeRegistry, here: Home, there: Home
) -> None:
    model = save_model(here)
    pushed(registry, here, model)
    pulled(registry, there, model)
    registry.seen.clear()
    again = pulled(registry, there, model)
    assert not again.is_new and again.fetched_bytes == 0
    assert len(registry.seen) == 2


def test_a_pull_fetches_only_files_that_the_store_lacks(
    registry: FakeRegistry, here: Home, there: Home
) -> None:
    one, other = save_model(here), save_model(here, "other")
    pushed(registry, here, one)
    pushed(registry, here, other)
    pulled(registry, there, one)
    assert pulled(registry, there, other).fetched_bytes < 1000
    assert_same(other, ModelStore(there).get("other"))


def test_a_bento_travels_with_its_models_which_are_shared(
    registry: FakeRegistry, here: Home, there: Home
) -> None:
    model = save_model(here)
    one, other = save_bento(here, model), save_bento(here, model, text="x = 2\n")
    pushed(registry, here, one)
    before = registry.received
    pushed(registry, here, other)
    assert registry.received - before < 5000, "the model is there"
    back = pulled(registry, there, one)
    assert [str(each.item.tag) for each in back.received] == [str(model.tag), str(one.tag)]
    assert_same(one, back.item)
    assert_same(model, ModelStore(there).get(model.tag))
    assert pulled(registry, there, other).fetched_bytes < 1000


def test_blobs_are_mounted_from_where_the_model_was_pushed_before(registry: FakeRegistry, here: Home) -> None:
    model = save_model(here)
    pushed(registry, here, model)
    bento = save_bento(here, model)
    before = registry.received
    pushed(registry, here, bento)
    assert registry.received - before < 5000
    assert any("from=team%2Firis" in path or "from=team/iris" in path for path in registry.paths())


def test_a_bento_may_come_without_its_models(registry: FakeRegistry, here: Home, there: Home) -> None:
    bento = save_bento(here, save_model(here))
    pushed(registry, here, bento)
    pulled(registry, there, bento, with_models=False)
    assert BentoStore(there).get(bento.tag) == bento
    assert ModelStore(there).list() == []


def test_the_same_item_is_the_same_manifest_wherever_it_was_saved(
    registry: FakeRegistry, here: Home, there: Home
) -> None:
    assert (
        pushed(registry, here, save_model(here)).digest
        == pushed(registry, there, save_model(there), "elsewhere/x:1").digest
    )


def test_tags_are_moved_on_request(registry: FakeRegistry, here: Home, there: Home) -> None:
    one, two = save_model(here), save_model(here, small=4)
    pushed(registry, here, one, tags=("latest", "prod"))
    pushed(registry, here, two, tags=("latest",))
    assert pulled(registry, there, one, "team/iris:latest").item.tag == two.tag
    assert pulled(registry, there, one, "team/iris:prod").item.tag == one.tag


def test_a_manifest_that_others_write_at_once_is_written_again(registry: FakeRegistry, here: Home) -> None:
    model, registry.misread = save_model(here), 2
    pushed(registry, here, model)
    assert registry.misread == 0 and f"team/iris:{model.tag.version}".replace(":", "/") in registry.manifests
    registry.misread = 100
    with pytest.raises(
        BentoMLException, match=r"refuses `team/iris:.*` \(status 400, DIGEST_INVALID: no match\)"
    ):
        pushed(registry, here, model, force=True)


def test_a_tag_of_something_else_is_left_alone_without_force(
    registry: FakeRegistry, here: Home, there: Home
) -> None:
    one, two = save_model(here), save_model(here, small=4)
    pushed(registry, here, one, "team/x:1")
    with pytest.raises(
        BentoMLException, match=r"has model `iris:.*` with other content under the tag.*--force"
    ):
        pushed(registry, here, two, "team/x:1")
    pushed(registry, here, two, "team/x:1", force=True)
    assert pulled(registry, there, two, "team/x:1").item.tag == two.tag


def test_a_damaged_item_is_not_pushed(registry: FakeRegistry, here: Home) -> None:
    model = save_model(here)
    bento = save_bento(here, model)
    victim = Path(model.path, "weights.bin")
    victim.chmod(0o644)
    victim.write_bytes(noise(300_000)[:-1] + b"!")
    for item in (model, bento):
        with pytest.raises(BentoMLException, match=r"`weights\.bin`"):
            pushed(registry, here, item)
    assert registry.seen == []


@pytest.mark.parametrize("small", [3, 300], ids=["alone", "bundled"])
@pytest.mark.parametrize("shard", [4 << 30, 100_000], ids=["whole", "shards"])
@pytest.mark.parametrize("victim", ["weights.bin", "sub/ümläut 1.txt"])
def test_a_flipped_bit_that_no_time_tells_is_found_when_it_is_sent(
    registry: FakeRegistry, here: Home, small: int, shard: int, victim: str
) -> None:
    model = save_model(here, small=small)
    file = Path(model.path, victim)
    stamp, data = file.stat().st_mtime_ns, bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    os.utime(file, ns=(stamp, stamp))
    model.check()
    with pytest.raises(BentoMLException, match=rf"{victim}` (is damaged|has other content)"):
        pushed(registry, here, model, shard=shard)
    assert registry.manifests == {}


def test_a_missing_tag_names_those_that_there_are(registry: FakeRegistry, here: Home, there: Home) -> None:
    model = save_model(here)
    pushed(registry, here, model)
    with pytest.raises(NotFound, match=rf"has no `team/iris:latest`.*it has `{model.tag.version}`"):
        pulled(registry, there, model, "team/iris:latest")


def test_another_kind_names_the_command_that_gets_it(registry: FakeRegistry, here: Home, there: Home) -> None:
    model = save_model(here)
    pushed(registry, here, model)
    with pytest.raises(BentoMLException, match=r"is the model `iris:.*`; `bentoml models pull` gets it"):
        pull("bento", place(registry, f"team/iris:{model.tag.version}"), Pulling(there, {}))


def test_another_item_under_the_tag_is_replaced_by_force_alone(
    registry: FakeRegistry, here: Home, there: Home
) -> None:
    with ModelStore(here).create("m:1") as one:
        Path(one.path, "f").write_text("one")
    with ModelStore(there).create("m:1") as two:
        Path(two.path, "f").write_text("two")
    pushed(registry, here, one)
    with pytest.raises(BentoMLException, match="is in the store with other content"):
        pulled(registry, there, one)
    assert Path(ModelStore(there).get("m:1").path, "f").read_text() == "two"
    ModelStore(there).set_alias("m@prod", "m:1")
    pulled(registry, there, one, force=True)
    assert Path(ModelStore(there).get("m@prod").path, "f").read_text() == "one"
    assert len([blob for blob in there.blobs.rglob("*") if blob.is_file()]) == 1


def test_there_is_no_moment_without_what_is_replaced(
    registry: FakeRegistry, here: Home, there: Home, tmp_path: Path
) -> None:
    others = [Home(tmp_path / "other"), here]
    for number, home in enumerate(others):
        with ModelStore(home).create("m:1") as model:
            Path(model.path, "f").write_text(str(number))
        pushed(registry, home, model, f"team/m{number}:1")
    seen, wrong = set(), []

    def look() -> None:
        try:
            seen.add(ModelStore(there).get("m:1").digest)
        except BentoMLException as e:
            wrong.append(e)

    pulled(registry, there, model, "team/m0:1")
    with meanwhile(look):
        for number in range(30):
            pulled(registry, there, model, f"team/m{number % 2}:1", force=True)
    assert (wrong, len(seen)) == ([], 2)


def test_a_damaged_item_of_the_store_is_mended(registry: FakeRegistry, here: Home, there: Home) -> None:
    model = save_model(here)
    pushed(registry, here, model)
    back = pulled(registry, there, model).item
    Path(back.path, "weights.bin").unlink()
    assert pulled(registry, there, model).is_new
    assert_same(model, ModelStore(there).get(model.tag))


def test_pickled_content_is_trusted_on_request_alone(registry: FakeRegistry, here: Home, there: Home) -> None:
    with ModelStore(here).create("m", custom_objects={"number": 5}) as model:
        pass
    bento = save_bento(here, model)
    pushed(registry, here, bento)
    (untrusted, _) = pulled(registry, there, bento).received
    assert untrusted.untrusted == ("custom_objects.pkl",)
    with pytest.raises(BentoMLException, match="holds pickled content"):
        _ = ModelStore(there).get("m").custom_objects
    pulled(registry, there, bento, trust=True)
    assert ModelStore(there).get("m").custom_objects == {"number": 5}


def test_a_model_of_bentoml_1_travels_and_gets_its_digest(
    registry: FakeRegistry, here: Home, there: Home
) -> None:
    folder = here.models / "old" / "m7lmf5ac2cmubnnz"
    folder.mkdir(parents=True)
    (folder / "saved_model.txt").write_text("weights")
    (folder / "model.yaml").write_text(
        "name: old\nversion: m7lmf5ac2cmubnnz\nmodule: bentoml.sklearn\nlabels: {}\noptions: {}\nmetadata: {}\n"
        "context:\n  framework_name: sklearn\n  framework_versions: {}\n  bentoml_version: 1.4.39\n"
        "  python_version: 3.11.7\nsignatures:\n  predict:\n    batchable: false\napi_version: v1\n"
        "creation_time: '2025-06-01T12:00:00+00:00'\n"
    )
    old = ModelStore(here).get("old")
    assert old.info.digest is None
    pushed(registry, here, old)
    new = pulled(registry, there, old).item
    assert new.info.digest == new.digest == old.digest
    assert Path(new.path, "saved_model.txt").read_text() == "weights"
    assert isinstance(new, Model) and new.info.module == "bentoml.sklearn"


def test_an_empty_model_travels(registry: FakeRegistry, here: Home, there: Home) -> None:
    with ModelStore(here).create("nothing", labels={"a": "b"}) as model:
        pass
    pushed(registry, here, model)
    assert_same(model, pulled(registry, there, model).item)


def test_the_manifest_is_what_other_tools_read(registry: FakeRegistry, here: Home) -> None:
    model = save_model(here)
    digest = pushed(registry, here, model).digest
    media_type, data = registry.manifests[f"team/iris/{digest}"]
    manifest = json.loads(data)
    assert media_type == manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["artifactType"] == "application/vnd.bentoml.model.v1"
    titles = {layer["annotations"]["org.opencontainers.image.title"]: layer for layer in manifest["layers"]}
    weights = next(entry for entry in model.tree.entries if entry.path == "weights.bin")
    assert titles["weights.bin"]["digest"] == str(weights.digest)
    assert len(manifest["layers"]) == 5, "equal files once; links and empty files not at all"
