"""A user's own Dockerfile: a Jinja2 template that extends ours, rendered in a sandbox with nothing but data in reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...exceptions import BentoMLConfigException, MissingDependencyException
from .dockerfile import BLOCKS, DockerfileSpec, blocks

__all__ = ["render_template"]

_MAX_CHARACTERS = 1 << 20
_BASE = "bento_base_template"


def render_template(text: str, spec: DockerfileSpec, *, name: str, version: str) -> str:
    """Return the Dockerfile that a template makes of a bento's own.

    It may extend ``bento_base_template`` and replace its blocks. It sees ``bento__*`` (where things lie) and
    ``__options__*`` (what the build file says), and can read no file, variable or module. The version is that of the
    command; it is empty where the content decides.

    Raises:
        BentoMLConfigException: the template is wrong; the message says where.
        MissingDependencyException: Jinja2 is not installed.
    """
    try:
        from jinja2 import DictLoader, StrictUndefined, TemplateError, nodes
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as e:
        raise MissingDependencyException(
            "`docker.dockerfile_template` needs Jinja2; run `pip install 'bentoml[templates]'`"
        ) from e
    head, parts = blocks(spec)
    base = "\n\n".join(
        [
            "{{ __head }}",
            *(f"{{% block {block} %}}{{{{ __blocks.{block} }}}}{{% endblock %}}" for block in BLOCKS),
        ]
    )
    sandbox = ImmutableSandboxedEnvironment(
        loader=DictLoader({_BASE: base, "dockerfile_template": text}),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
        keep_trailing_newline=True,
    )
    variables = {_BASE: _BASE, "__head": head, "__blocks": parts, **_variables(spec, name, version)}
    try:
        names = sandbox.parse(text).find_all(nodes.Name)
        if fixed := sorted({name.name for name in names if name.ctx == "store"} & variables.keys()):
            raise BentoMLConfigException(
                f"`docker.dockerfile_template` sets `{fixed[0]}`, which is fixed; replace the block that uses it instead"
            )
        return _limited(sandbox.get_template("dockerfile_template").generate(variables))
    except TemplateError as e:
        place = f", line {lineno}" if (lineno := getattr(e, "lineno", None)) else ""
        raise BentoMLConfigException(f"`docker.dockerfile_template`{place}: {e.message}") from e
    except (TypeError, ValueError, ArithmeticError, RecursionError, MemoryError) as e:
        raise BentoMLConfigException(f"`docker.dockerfile_template`: {type(e).__name__}: {e}") from e


def _limited(pieces: Any) -> str:
    """Put the pieces together; a template that writes without end is stopped."""
    made: list[str] = []
    length = 0
    for piece in pieces:
        made.append(piece)
        length += len(piece)
        if length > _MAX_CHARACTERS:
            raise BentoMLConfigException("`docker.dockerfile_template` makes more than a million characters")
    return "".join(made).rstrip("\n") + "\n"


def _variables(spec: DockerfileSpec, name: str, version: str) -> Mapping[str, Any]:
    return {
        "bento__name": name,
        "bento__version": version,
        "bento__user": "bentoml",
        "bento__uid_gid": 1034,
        "bento__home": "/home/bentoml/",
        "bento__path": "/home/bentoml/bento",
        "bento__entrypoint": "/home/bentoml/bento/env/docker/entrypoint.sh",
        "bento__python_version": spec.python_version,
        "__options__distro": spec.distro,
        "__options__base_image": spec.base_image,
        "__options__python_version": spec.python_version,
        "__options__env": dict(spec.env),
        "__options__system_packages": list(spec.system_packages),
        "__options__setup_script": "env/docker/setup_script" if spec.has_setup_script else "",
    }
