"""Weights: a file or folder that is no item of a store, and becomes a model as it is."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path
from typing import BinaryIO

from ...exceptions import BentoMLException
from ...tag import Tag
from ..manifest import BentoInfo, ModelInfo
from .formats import Format, by_content, by_suffix, is_tar_header
from .members import checked_path
from .unpack import copy_folder
from .unpacking import Stream, unpacked

__all__ = ["is_plain", "model_tag", "place_weights"]

_BLOCK = 512
_LONGEST = 63  # characters of a name
_MANIFESTS = (ModelInfo.FILE, BentoInfo.FILE)
_WEIGHTS = frozenset(
    [
        ".bin",
        ".cbm",
        ".ckpt",
        ".engine",
        ".ggml",
        ".gguf",
        ".h5",
        ".hdf5",
        ".joblib",
        ".keras",
        ".lgb",
        ".mar",
        ".mlmodel",
        ".model",
        ".msgpack",
        ".nemo",
        ".npy",
        ".npz",
        ".onnx",
        ".pb",
        ".pickle",
        ".pkl",
        ".plan",
        ".pmml",
        ".pt",
        ".pt2",
        ".pth",
        ".pte",
        ".safetensors",
        ".tflite",
        ".torchscript",
        ".ubj",
        ".weights",
        ".xgb",
    ]
)


def is_plain(source: Path, name: str) -> bool:
    """Say whether a file or folder of this machine is no item: what is called as an archive is always meant to be one."""
    if source.is_dir():
        return not any((source / manifest).is_file() for manifest in _MANIFESTS)
    if by_suffix(name):
        return False
    with source.open("rb") as file:
        format = by_content(file.read(_BLOCK))
        file.seek(0)
        return format is None or not _holds_item(file, format)


def model_tag(name: str | Tag | None, source: Path, place: str) -> Tag:
    """Return the name that a person gave, or the one that a path or URL suggests.

    Raises:
        BentoMLException: none is given, and nothing there is called as weights are, or the path has no usable name.
    """
    if name is not None:
        return Tag.from_taglike(name)
    stem, ending = os.path.splitext(os.path.basename(place.rstrip("/")))
    if source.is_dir():
        stem, ending = stem + ending, ""
        if not any(path.suffix.lower() in _WEIGHTS for path in source.rglob("*")):
            raise BentoMLException(
                "it has no `model.yaml`; to store the folder as it is, give the model a name"
            )
    elif ending.lower() not in _WEIGHTS:
        raise BentoMLException("it is no archive; to store the file as it is, give the model a name")
    word = re.sub(r"[^a-z0-9._-]+", "-", stem.lower())[:_LONGEST].strip("-._")
    if not word:
        raise BentoMLException("no name for the model follows from its path; give it one")
    return Tag(word)


def place_weights(source: Path, name: str, folder: Path) -> None:
    """Copy a file, under this name, or all that is in a folder, into an empty folder."""
    if source.is_dir():
        copy_folder(source, folder)
        return
    target = folder / checked_path(name)
    shutil.copyfile(source, target)
    target.chmod(0o644)


def _holds_item(file: BinaryIO, format: Format) -> bool:
    """Say whether what is packed like an archive is one, and no file of weights that happens to be packed."""
    try:
        if format == "zip":
            with zipfile.ZipFile(file) as archive:
                return any(name.removeprefix("./") in _MANIFESTS for name in archive.namelist())
        return is_tar_header(Stream(unpacked(file, format)).exactly(_BLOCK))
    except (BentoMLException, zipfile.BadZipFile, NotImplementedError, ValueError):
        return False
