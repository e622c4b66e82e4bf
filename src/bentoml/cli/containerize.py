"""`bentoml containerize`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..builder.backends.output import Output, parse_output
from ..builder.engines.options import parse_options
from ..builder.image.choice import check_features, is_for_engine
from ..builder.image.containerize import containerize as make_image
from ..builder.image.result import ImageResult
from ..builder.oci.blobs import writing
from ..config import Home, environment
from ..exceptions import InvalidArgument
from ..paths import write_atomic
from ..store.bentos import Bento, BentoStore
from . import _image_options as option
from ._engine_flags import EngineFlagsCommand, given_flags, note_of
from ._image_table import print_layers
from ._output import print_json
from ._steps import is_quiet, talk
from ._tags import parse_tag
from ._telling import Telling

if TYPE_CHECKING:
    from ..builder.engines.model import EngineImage
    from ..builder.engines.options import Option

__all__ = ["app"]

_JSON = "json"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=EngineFlagsCommand)
def containerize(
    context: typer.Context,
    bento: option.Bento,
    image_tag: option.ImageTag = None,
    base_image: option.BaseImage = None,
    output: option.Output = None,
    push: option.Push = False,
    load: option.Load = False,
    platform: option.Platform = None,
    label: option.Label = None,
    sbom: option.Sbom = None,
    backend: option.Backend = "docker",
    opt: option.Opt = None,
    enable_features: option.EnableFeatures = None,
    run_as_root: option.RunAsRoot = False,
    offline: option.Offline = False,
    compress_models: option.CompressModels = "none",
    verify: option.Verify = False,
    bytecode: option.Bytecode = None,
    iidfile: option.Iidfile = None,
    metadata_file: option.MetadataFile = None,
) -> None:
    """Turn a bento into an OCI image, with or without a container engine."""
    telling = Telling()
    try:
        options = parse_options(opt or [])
        check_features([name for names in enable_features or [] for name in names.split(",") if name])
        labels = dict(map(_label, label or []))
        ours = {
            "--base-image": base_image, "--offline": offline, "--compress-models": compress_models != "none",
            "--compile": bytecode, "--no-compile": bytecode is False,
        }  # fmt: skip
        env = environment()
        home = Home.from_environment(env)
        found = BentoStore(home).get(parse_tag(bento))
        places = tuple(text for text in output or () if text != _JSON)
        as_json = _JSON in (output or ())
        if is_for_engine(found.info, backend, options, ours, env=env, is_for_a_place=bool(places or sbom)):
            said = {
                "label": labels, "output": places, "push": push, "load": load, "sbom": sbom,
                "iidfile": iidfile, "metadata_file": metadata_file, **given_flags(context), **options,
            }  # fmt: skip
            given = {name: value for name, value in said.items() if value not in (None, False, (), {})}
            return _by_dockerfile(
                found, backend, image_tag or [], given, telling, as_json,
                platform=platform, verify=verify, as_root=run_as_root,
            )  # fmt: skip
        place = _place(places, push=push, load=load, as_json=as_json)
        wants_sbom, sbom_file = _sbom(sbom)
        _tell_what_changes_nothing(context, run_as_root)
        result = make_image(
            found, home=home, env=env, base=base_image, names=image_tag or (),
            output=place, platform=platform, offline=offline, compress_models=compress_models, verify=verify,
            bytecode=bytecode, labels=labels, sbom=wants_sbom, step=telling.step, watch=telling,
        )  # fmt: skip
    except InvalidArgument as e:
        raise typer.BadParameter(str(e)) from e
    _write_files(result, sbom_file, iidfile, metadata_file)
    _tell(result, place, as_json)


def _by_dockerfile(
    bento: Bento, backend: str, names: Sequence[str], options: Mapping[str, Option], telling: Telling, as_json: bool, *,
    platform: str | None, verify: bool, as_root: bool,
) -> None:  # fmt: skip
    """Let an engine build the bento's Dockerfile."""
    from ..builder.engines.known import get_engine
    from ..builder.image.api import build_by_dockerfile

    made = build_by_dockerfile(
        bento, get_engine(backend), names, options,
        platform=platform, verify=verify, as_root=as_root, step=telling.step, tell=talk,
    )  # fmt: skip
    if as_json:
        print_json(made.to_json())
    elif made.files:
        _print_success(made)
        print(made.place)
    else:
        _print(made, made.runner)


def _tell(result: ImageResult, place: Output | None, as_json: bool) -> None:
    """Tell people what was made, and programs if they ask; stdout is the image where that was asked for."""
    if not is_quiet():
        print_layers(result)
    if as_json:
        print_json(result.to_json())
    elif place is None or place.kind == "docker":
        _print(result, "docker")
    elif not place.is_stdout:
        _print_place(result)


def _sbom(text: str | None) -> tuple[bool | None, Path | None]:
    """Return whether an SBOM is wanted, and the file for it."""
    if text in ("true", "false"):
        return text == "true", None
    if text is not None and (not text or Path(text).is_dir()):
        raise InvalidArgument(f"`--sbom {text}` is no file; name one, or give true or false")
    return (None, None) if text is None else (True, Path(text))


def _place(places: Sequence[str], *, push: bool, load: bool, as_json: bool) -> Output | None:
    """Return where the image goes, if that was said."""
    said = [f"`--output {text}`" for text in places] + ["`--push`"] * push + ["`--load`"] * load
    if len(said) > 1:
        raise InvalidArgument(
            f"{' and '.join(said)} name several places; give one, and copy the image from there"
        )
    if push:
        return Output("registry")
    place = parse_output(places[0]) if places else Output() if load else None
    if place is not None and place.is_stdout and as_json:
        raise InvalidArgument("stdout cannot be the image and its description; give the image a file")
    return place


def _tell_what_changes_nothing(context: typer.Context, run_as_root: bool) -> None:
    for name in given_flags(context):
        talk(note_of(name))
    if run_as_root:
        talk(
            "`--run-as-root` changes nothing: no program is run for this image; run the command by sudo if the engine wants that"
        )


def _label(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    if not key or not text.isprintable():
        raise InvalidArgument(f"`--label {text}` is no label; it looks like `--label team=search`")
    return key, value


def _write_files(made: ImageResult, sbom: Path | None, iidfile: Path | None, metadata: Path | None) -> None:
    files: dict[Path, bytes] = {}
    for number, referrer in enumerate(made.referrers if sbom else ()):
        suffix = f"-{made.platforms[number].replace('/', '-')}" if len(made.referrers) > 1 else ""
        assert sbom is not None
        files[sbom.with_name(f"{sbom.stem}{suffix}{sbom.suffix}")] = referrer.data
    if iidfile is not None:
        files[iidfile] = str(made.id).encode()
    if metadata is not None:
        files[metadata] = json.dumps(_metadata(made), indent=2).encode()
    for file, data in files.items():
        with writing(file):
            write_atomic(file, data)


def _metadata(made: ImageResult) -> Mapping[str, str]:
    return {
        "containerimage.config.digest": str(made.id),
        "containerimage.digest": str(made.digest),
        "image.name": ",".join(made.names),
    }


def _print(made: ImageResult | EngineImage, runner: str) -> None:
    gpus = "--gpus all " if made.uses_gpu else ""
    _print_success(made)
    print("To run your newly built Bento container, run:")
    print(f"    {runner} run --rm {gpus}-p 3000:3000 {made.names[0]}")


def _print_place(made: ImageResult) -> None:
    _print_success(made)
    print(made.place)
    for referrer in made.referrers:
        print(f"SBOM {referrer.root.digest}")


def _print_success(made: ImageResult | EngineImage) -> None:
    print(f'Successfully built Bento container for "{made.tag}" with tag(s) "{",".join(made.names)}"')
