"""What lies where in the image, whose it is, and what is not read twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.builder.handmade import PASSWD, members, save_bento, save_model
from tests.store.flips import flip_unseen

from bentoml.builder.oci.bases.rootfs import RootFS
from bentoml.builder.oci.cache import Cache
from bentoml.builder.oci.parts.layers import bento_layers, model_layers, user_layer
from bentoml.config import Home
from bentoml.exceptions import BentoMLException
from bentoml.store.manifest import BentoInfo, ModelContext, ModelInfo
from bentoml.store.models import ModelStore

OURS = (1034, 1034)
ROOT = (0, 0)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_a_model_lies_where_the_store_of_the_image_has_it(home: Home, tmp_path: Path) -> None:
    model = save_model(home, text="hello")
    (layer,) = model_layers([model], Cache(tmp_path / "cache"), epoch=5)
    found = members(layer)
    place = f"home/bentoml/models/words/{model.tag.version}"
    assert layer.about == f"model {model.tag}"
    assert found[f"{place}/words.txt"].text == "hello"
    owners = {path: member.owner for path, member in found.items()}
    assert owners == {
        "home/bentoml": OURS, "home/bentoml/models": OURS, "home/bentoml/models/words": OURS,
        place: ROOT, f"{place}/model.yaml": ROOT, f"{place}/words.txt": ROOT,
    }  # fmt: skip
    assert {(m.mode, m.kind) for m in found.values()} == {(0o644, "file"), (0o755, "dir")}
    assert {m.mtime for m in found.values()} == {5}
    info = ModelInfo.from_yaml(found[f"{place}/model.yaml"].text)
    assert (info.tag, info.digest, info.creation_time.timestamp()) == (model.tag, model.digest, 5)
    assert model.info.context.python_version
    assert info.context == ModelContext(bentoml_version="", python_version=""), "nothing of the machine"


def test_folders_links_and_programs_of_a_model(home: Home, tmp_path: Path) -> None:
    with ModelStore(home).create("words") as model:
        folder = Path(model.path, "deep/er")
        folder.mkdir(parents=True)
        (folder / "run").write_text("x")
        (folder / "run").chmod(0o755)
        (folder / "again").symlink_to("run")
    found = members(model_layers([model], Cache(tmp_path / "cache"), epoch=0)[0])
    place = f"home/bentoml/models/words/{model.tag.version}"
    assert found[f"{place}/deep/er"].owner == ROOT
    assert found[f"{place}/deep/er/run"].mode == 0o755
    assert (found[f"{place}/deep/er/again"].kind, found[f"{place}/deep/er/again"].text) == ("symlink", "run")


def test_a_known_model_is_not_read(home: Home, tmp_path: Path) -> None:
    model, cache = save_model(home), Cache(tmp_path / "cache")
    (first,) = model_layers([model], cache, epoch=0)
    file = Path(model.path, "words.txt")
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.unlink()
    file.write_text("HELLO")  # same size and time: nobody looks
    os.utime(file, ns=times)
    (again,) = model_layers([model], cache, epoch=0)
    assert again.descriptor == first.descriptor


def test_a_model_that_was_touched_is_read_again_and_refused_if_it_is_another(
    home: Home, tmp_path: Path
) -> None:
    model, cache = save_model(home), Cache(tmp_path / "cache")
    (first,) = model_layers([model], cache, epoch=0)
    file = Path(model.path, "words.txt")
    os.utime(file, (5, 5))
    (again,) = model_layers([model], cache, epoch=0)
    assert again.descriptor == first.descriptor
    file.unlink()
    file.write_text("HELLO")
    with pytest.raises(BentoMLException, match=r"model `words:\w+` is damaged: `words\.txt` has other"):
        model_layers([model], cache, epoch=0)
    file.write_text("longer than it was")
    with pytest.raises(BentoMLException, match=r"words\.txt"):
        model_layers([model], cache, epoch=0)


def test_a_bit_that_no_time_tells_is_found_as_the_model_is_read_and_stops_it_from_then_on(
    home: Home, tmp_path: Path
) -> None:
    model, cache = save_model(home), Cache(tmp_path / "cache")
    flip_unseen(Path(model.path, "words.txt"))
    model.check()
    for use in (lambda: model_layers([model], cache, epoch=0), model.check):
        with pytest.raises(BentoMLException, match=r"model `words:\w+` is damaged: `words\.txt` has other"):
            use()


def test_two_stores_give_the_same_layer(tmp_path: Path) -> None:
    made = []
    for place in ("a", "b"):
        model = save_model(Home(tmp_path / place))
        made.append(model_layers([model], Cache(tmp_path / place / "cache"), epoch=0)[0].descriptor)
    assert made[0] == made[1]


def test_many_models_share_the_last_layer(home: Home, tmp_path: Path) -> None:
    models = [save_model(home, f"m{n}", "x" * n) for n in range(5)]
    made = model_layers(models, Cache(tmp_path / "cache"), epoch=0, at_most=3)
    assert [layer.about.partition(":")[0] for layer in made] == ["model m3", "model m4", "3 small models"]
    assert {path.split("/")[3] for path in members(made[2]) if path.count("/") > 3} == {"m0", "m1", "m2"}


def test_a_large_file_has_a_layer_of_its_own(home: Home, tmp_path: Path) -> None:
    with ModelStore(home).create("words") as model:
        Path(model.path, "deep").mkdir()
        Path(model.path, "deep/weights").write_text("x" * 100)
        Path(model.path, "small").write_text("x")
    layers = model_layers([model], Cache(tmp_path / "cache"), epoch=0, large=99)
    place = f"home/bentoml/models/words/{model.tag.version}"
    assert [layer.about for layer in layers] == [f"model {model.tag}: deep/weights", f"model {model.tag}"]
    first, second = (members(layer) for layer in layers)
    assert first.keys() - second.keys() == {f"{place}/deep", f"{place}/deep/weights"}
    assert first[f"{place}/deep"].owner == ROOT and first["home/bentoml/models/words"].owner == OURS
    assert second.keys() - first.keys() == {f"{place}/small", f"{place}/model.yaml"}
    (together,) = model_layers([model], Cache(tmp_path / "cache"), epoch=0, large=99, at_most=1)
    assert members(together).keys() == first.keys() | second.keys()


def test_the_user_joins_those_of_the_base() -> None:
    layer = user_layer(RootFS(passwd=PASSWD, group="root:x:0:", folders=("home",)), epoch=0)
    found = members(layer)
    assert found["etc/passwd"].text == f"{PASSWD}bentoml:x:1034:1034::/home/bentoml:/bin/sh\n"
    assert found["etc/group"].text == "root:x:0:\nbentoml:x:1034:\n"
    assert found["home/bentoml"].owner == OURS
    assert found["app"].owner == found["app/health.py"].owner == ROOT
    assert "home" not in found, "the base has it, with a mode of its own"
    assert "etc" not in found


def test_a_base_without_users_and_folders() -> None:
    found = members(user_layer(RootFS(), epoch=0))
    assert found["etc/passwd"].text == "bentoml:x:1034:1034::/home/bentoml:/bin/sh\n"
    assert found["home"].mode == found["app"].mode == 0o755


def test_a_base_that_has_the_user_keeps_it() -> None:
    text = "bentoml:x:1000:1000::/srv:/bin/sh\n"
    assert members(user_layer(RootFS(passwd=text), epoch=0))["etc/passwd"].text == text


def test_the_bento_and_its_pointers(home: Home, tmp_path: Path) -> None:
    old, new, other = save_model(home, text="1"), save_model(home, text="2"), save_model(home, "other")
    bento = save_bento(home, tmp_path / "wheels", models=(old, new, other))
    wheels, layer = bento_layers(bento, [new, old, other], Cache(tmp_path / "cache"), epoch=5)
    found = members(layer)
    assert wheels.about == "wheels of the bento"
    assert layer.about == f"bento {bento.tag}"
    assert found["home/bentoml/bento/src/service.py"].text == "print('hello')\n"
    assert found["home/bentoml/bento/env/docker/entrypoint.sh"].mode == 0o755
    assert found["home/bentoml/models/words/latest"].text == new.tag.version
    assert found["home/bentoml/models/other/latest"].text == other.tag.version
    assert {member.owner for member in found.values()} == {OURS}
    info = BentoInfo.from_yaml(found["home/bentoml/bento/bento.yaml"].text)
    assert {ref.creation_time for ref in info.models} == {None}
    assert (info.creation_time.timestamp(), info.digest) == (5, bento.digest)
    assert info.identity(info.files) == bento.digest, "what is left out is no part of the identity"


def test_every_file_of_the_bento_is_there(home: Home, tmp_path: Path) -> None:
    bento = save_bento(home, tmp_path / "wheels")
    layers = bento_layers(bento, [], Cache(tmp_path / "cache"), epoch=0)
    found = [path for layer in layers for path, member in members(layer).items() if member.kind != "dir"]
    assert len(found) == len(set(found))
    assert {f"home/bentoml/bento/{entry.path}" for entry in bento.tree.entries} < set(found)


def test_a_changed_line_leaves_the_wheels_as_they_are(home: Home, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    one, other = (
        bento_layers(save_bento(home, tmp_path / "wheels", source=n), [], cache, epoch=0) for n in "12"
    )
    assert one[0].descriptor == other[0].descriptor
    assert one[1].descriptor != other[1].descriptor


def test_models_of_services_lose_their_clock_and_secrets_their_value(home: Home, tmp_path: Path) -> None:
    ref = {"tag": "words:1", "module": "", "creation_time": "2026-01-01T00:00:00+00:00"}
    bento = save_bento(
        home, tmp_path / "wheels",
        services=({"name": "Greeter", "models": [ref, "old:1"]},),
        envs=({"name": "TOKEN", "value": "canary", "stage": "build"}, {"name": "A", "value": "1", "stage": "all"}),
    )  # fmt: skip
    layer = bento_layers(bento, [], Cache(tmp_path / "cache"), epoch=0)[-1]
    text = members(layer)["home/bentoml/bento/bento.yaml"].text
    info = BentoInfo.from_yaml(text)
    assert info.services[0]["models"] == [{"tag": ref["tag"], "module": ref["module"]}, "old:1"]
    assert [variable["value"] for variable in info.envs] == ["", "1"]
    assert "canary" not in text
