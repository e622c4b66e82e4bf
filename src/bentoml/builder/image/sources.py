"""Where the packages of a bento come from when its image is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...store.bentos import Bento
from ..build_file.config import PythonConfig
from ..oci.parts.python import Sources
from ..packages.indexes import Indexes, pip_settings
from ..packages.uv_command import uv_environment, uv_options

__all__ = ["sources_of"]


def sources_of(bento: Bento, env: Mapping[str, str]) -> Sources:
    """Return uv's environment and options: packages come from the bento's own indexes, else from those of pip."""
    image = bento.info.image
    config = PythonConfig(
        index_url=str(image.get("index_url") or ""),
        extra_index_url=tuple(map(str, image.get("extra_index_url") or ())),
        find_links=tuple(map(str, image.get("find_links") or ())),
        trusted_host=tuple(map(str, image.get("trusted_host") or ())),
        no_index=bool(image.get("no_index")),
    )
    indexes = Indexes.choose(config, pip_settings(env), Path(bento.path, "src"))
    if "--hash=" in Path(bento.path, "env/python/requirements.txt").read_text("utf-8"):
        indexes = indexes._replace(best_match=True)  # what a hash names may come from any of them
    wishes = ("--prerelease", "allow") if "--pre" in str(image.get("pip_args") or "").split() else ()
    return Sources(uv_environment(indexes, env), (*uv_options(indexes), *wishes))
