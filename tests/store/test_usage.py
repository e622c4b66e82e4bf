from __future__ import annotations

from pathlib import Path

from tests.store.saving import Save

from bentoml import Tag
from bentoml.config import Home
from bentoml.store.bentos import BentoStore
from bentoml.store.manifest import BentoInfo
from bentoml.store.models import Model
from bentoml.store.usage import Room, measure


def manifest_size(model: Model) -> int:
    return Path(model.path_of("model.yaml")).stat().st_size


def test_an_empty_store(home: Home) -> None:
    usage = measure(home)
    assert (usage.models, usage.bentos, usage.items, usage.caches, usage.others) == ({}, {}, 0, {}, {})
    assert not home.root.exists()


def test_what_is_shared_is_counted_once(home: Home, save: Save) -> None:
    one = save("iris:v1", {"shared": "x" * 1000, "own": "1" * 10})
    two = save("iris:v2", {"shared": "x" * 1000, "more": "2" * 20})
    rose = save("rose:v1", {"other": "x" * 1000})
    with BentoStore(home).create("shop", version="v1") as draft:
        (draft.path / "service.py").write_text("code")
        draft.info = BentoInfo(tag=Tag("shop"))
    meta = {model: manifest_size(model) for model in (one, two, rose)}
    usage = measure(home)
    assert usage.models == {
        Room(Tag("iris"), 1030 + meta[one] + meta[two], 30 + meta[one] + meta[two]): (
            Room(Tag("iris", "v1"), 1010 + meta[one], 10 + meta[one]),
            Room(Tag("iris", "v2"), 1020 + meta[two], 20 + meta[two]),
        ),
        Room(Tag("rose"), 1000 + meta[rose], meta[rose]): (
            Room(Tag("rose", "v1"), 1000 + meta[rose], meta[rose]),
        ),
    }
    ((shop, (item,)),) = usage.bentos.items()
    assert shop.size == shop.own == item.size == item.own == draft.saved.file_size
    assert usage.items == 1030 + sum(meta.values()) + item.size
    assert usage.blobs == 1000 + 10 + 20 + 4
    assert usage.shared == 2000


def test_two_versions_of_one_name_share_for_themselves(home: Home, save: Save) -> None:
    one, two = save("iris:v1", {"w": "x" * 100}, labels={"a": "1"}), save("iris:v2", {"w": "x" * 100})
    ((name, items),) = measure(home).models.items()
    assert name.own == name.size == 100 + manifest_size(one) + manifest_size(two)
    assert [item.own for item in items] == [manifest_size(one), manifest_size(two)]


def test_caches_and_the_rest(home: Home, save: Save) -> None:
    save("iris", {"w": "1"})
    for path, size in (
        ("cache/oci/blobs/a", 5),
        ("cache/oci/b", 6),
        ("cache/uv/c", 7),
        ("state/svc/tasks.db", 8),
    ):
        file = home.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)
    usage = measure(home)
    assert usage.caches == {"oci": 11, "uv": 7}
    assert usage.others == {"state": 8, "staging": 0}
