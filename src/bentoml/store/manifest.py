"""The manifests: what `model.yaml` and `bento.yaml` say. The keys are BentoML's, plus `digest`, `checksum` and `files`.

`files` stands last, one line of JSON for each file, and is read only when asked for: listing a store stays cheap
however many files its items have.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, Self

from .. import __version__
from ..exceptions import BentoMLException
from ..tag import Tag
from . import document
from .digest import Digest
from .metadata import identity_of
from .reader import Reader
from .seal import SEAL, checksum, sealed, split
from .tree import Entry, Tree

__all__ = ["HUGGING_FACE", "BentoInfo", "Manifest", "ModelContext", "ModelInfo", "ModelRef"]

_MODEL_KEYS = frozenset(
    ("name", "version", "module", "labels", "options", "metadata", "context", "signatures", "api_version",
     "creation_time", *SEAL)
)  # fmt: skip
_BENTO_KEYS = frozenset(
    ("service", "name", "version", "bentoml_version", "creation_time", "labels", "description", "models", "entry_service",
     "services", "envs", "schema", "args", "image", *SEAL)
)  # fmt: skip
_SPEC = 2

HUGGING_FACE = "huggingface"  # the `registry` of a model that is not in the store but on that hub


def _now() -> datetime:
    return datetime.now(UTC)


def _python_version() -> str:
    return ".".join(map(str, sys.version_info[:3]))


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What both manifests have; `digest` is `None` for an item that BentoML 1.x made."""

    KIND: ClassVar[str]
    FILE: ClassVar[str]
    COMMANDS: ClassVar[str]  # what the commands about such items begin with
    NOT_IDENTITY: ClassVar[frozenset[str]] = frozenset(
        {"tag", "creation_time", "digest", "listing", "written"}
    )

    tag: Tag
    creation_time: datetime = field(default_factory=_now)
    labels: dict[str, str] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)  # keys that this library does not know
    digest: Digest | None = None
    listing: str = ""
    written: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)  # as it was read

    @property
    def name(self) -> str:
        """The name in the tag."""
        return self.tag.name

    @property
    def version(self) -> str | None:
        """The version in the tag."""
        return self.tag.version

    @cached_property
    def files(self) -> Tree:
        """The files of the item, without its manifest."""
        return Tree.parse(self.listing)

    def identity(self, files: Tree) -> Digest:
        """Return the digest of what the item is: its name, declaration and files, but no clock, host or version."""
        value = {**self._declared(), "kind": self.KIND, "name": self.tag.name, "tree": str(files.digest())}
        return Digest.of_json(identity_of(value))

    def timeless(self, epoch: int = 0) -> Self:
        """Return the manifest as it travels: without what is recorded of clock and host. Its time is ``epoch``."""
        return replace(self, creation_time=datetime.fromtimestamp(epoch, UTC))

    def with_time_of_arrival(self) -> Self:
        """Return a manifest that came from elsewhere; one that is `timeless` says from now on when it came."""
        return self if self.creation_time.timestamp() else replace(self, creation_time=_now())

    def check_written(self) -> None:
        """Make sure that what was read is what was written, also what is not identity: clock, host, versions.

        Raises:
            BentoMLException: it is not.
        """
        if self.written.get("checksum", checksum(self.written)) != checksum(self.written):
            raise BentoMLException("it has not its `checksum`")

    def to_yaml(self) -> str:
        """Return the text of the manifest."""
        text = document.dump(self.to_data())
        return text if self.digest is None else text + sealed(self.to_data(), self.digest, self.listing)

    def seal(self, files: Tree) -> str:
        """Return what is to be written behind a manifest of BentoML 1.x, once its files are known."""
        return sealed(self.written, self.identity(files), files.lines())

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Read a manifest, be it of this library or of BentoML 1.x.

        Raises:
            BentoMLException: it is not one; the message says which key is wrong.
        """
        head, listing = split(text)
        data = Reader(document.load(head))
        try:
            if data.has("files"):
                listing = Tree.of(Entry.from_data(Reader(file).data) for file in data.items("files")).lines()
            if data.has("digest") != bool(listing or data.has("files")):
                raise BentoMLException("`digest` and `files` must both be there, or neither")
            return cls._read(data, listing)
        except (TypeError, ValueError) as e:  # a tag that is none, a value where a list should be
            raise BentoMLException(str(e)) from e

    def to_data(self) -> dict[str, Any]:
        """Return the manifest as plain values, in BentoML's order of keys, without `digest` and `files`."""
        raise NotImplementedError

    def _declared(self) -> dict[str, Any]:
        declared = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.NOT_IDENTITY}
        return declared if self.others else {key: value for key, value in declared.items() if key != "others"}

    @classmethod
    def _read(cls, data: Reader, listing: str) -> Self:
        raise NotImplementedError


@dataclass(frozen=True)
class ModelContext:
    """Say with what a model was made."""

    framework_name: str = ""
    framework_versions: dict[str, str] = field(default_factory=dict)
    bentoml_version: str = __version__
    python_version: str = field(default_factory=_python_version)


@dataclass(frozen=True, kw_only=True)
class ModelInfo(Manifest):
    """What `model.yaml` says."""

    KIND: ClassVar[str] = "model"
    FILE: ClassVar[str] = "model.yaml"
    COMMANDS: ClassVar[str] = "bentoml models"
    NOT_IDENTITY: ClassVar[frozenset[str]] = Manifest.NOT_IDENTITY | {"context"}

    module: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    context: ModelContext = field(default_factory=ModelContext)
    signatures: dict[str, dict[str, Any]] = field(default_factory=dict)
    api_version: str = "v1"

    def timeless(self, epoch: int = 0) -> ModelInfo:
        context = ModelContext(bentoml_version="", python_version="")
        return replace(super().timeless(epoch), context=context)

    def to_data(self) -> dict[str, Any]:
        return {
            "name": self.tag.name,
            "version": self.tag.version,
            "module": self.module,
            "labels": self.labels,
            "options": self.options,
            "metadata": self.metadata,
            "context": vars(self.context),
            "signatures": self.signatures,
            "api_version": self.api_version,
            "creation_time": self.creation_time.isoformat(),
            **self.others,
        }

    @classmethod
    def _read(cls, data: Reader, listing: str) -> ModelInfo:
        context = data.inner("context")
        return cls(
            tag=data.tag(),
            module=data.text("module"),
            labels=data.mapping("labels"),
            options=data.mapping("options"),
            metadata=data.mapping("metadata"),
            context=ModelContext(
                framework_name=context.text("framework_name"),
                framework_versions=context.mapping("framework_versions"),
                bentoml_version=context.text("bentoml_version"),
                python_version=context.text("python_version"),
            ),
            signatures=data.mapping("signatures"),
            api_version=data.text("api_version", "v1"),
            creation_time=data.time("creation_time"),
            others=data.others(_MODEL_KEYS),
            digest=data.digest("digest"),
            listing=listing,
            written=data.data,
        )


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """A model that a bento needs. `digest` names its content, which `tag` alone does not for an explicit version.

    With a ``registry`` it is not in the store but there, as its ``metadata`` says; ``requested`` is the revision that the
    code asks for.
    """

    tag: Tag
    module: str = ""
    creation_time: datetime | None = None
    alias: str | None = None
    digest: Digest | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    registry: str = ""
    requested: str = ""

    @classmethod
    def of(cls, info: ModelInfo, *, alias: str | None = None) -> ModelRef:
        """Return a reference to a model of the store."""
        return cls(
            tag=info.tag,
            module=info.module,
            creation_time=info.creation_time,
            alias=alias,
            digest=info.digest,
        )

    @classmethod
    def from_data(cls, value: object) -> ModelRef:
        """Read an entry of a bento's `models`; BentoML 1.0 wrote nothing but the tag."""
        if isinstance(value, str):
            return cls(tag=Tag.from_str(value))
        data = Reader(value)
        return cls(
            tag=Tag.from_str(data.text("tag")),
            module=data.text("module"),
            creation_time=data.time("creation_time") if data.has("creation_time") else None,
            alias=data.text("alias") or None,
            digest=data.digest("digest"),
            metadata=data.mapping("metadata"),
            registry=data.text("registry"),
            requested=data.text("requested"),
        )

    def to_data(self) -> dict[str, Any]:
        """Return the entry as the manifest holds it; what is empty is left out."""
        data = {
            "tag": str(self.tag),
            "module": self.module,
            "creation_time": self.creation_time and self.creation_time.isoformat(),
            "alias": self.alias,
            "digest": self.digest and str(self.digest),
            "registry": self.registry,
            "requested": self.requested,
            "metadata": self.metadata,
        }
        return {key: value for key, value in data.items() if value or key in ("tag", "module")}

    def check(self, digest: Digest, bento: Tag) -> None:
        """Make sure that the model of the store is the one that a bento was built with.

        Raises:
            BentoMLException: it is another one.
        """
        if self.digest not in (None, digest):
            raise BentoMLException(
                f"bento `{bento}` was built with another model `{self.tag}`: `{self.digest}`, but the store has "
                f"`{digest}`; build the bento again"
            )

    def identity(self) -> dict[str, Any]:
        """Return what of the reference belongs to the identity of its bento: all but the clock."""
        return {key: value for key, value in self.to_data().items() if key != "creation_time"}


@dataclass(frozen=True, kw_only=True)
class BentoInfo(Manifest):
    """What `bento.yaml` says. `services` are plain mappings, each with its own `models`."""

    KIND: ClassVar[str] = "bento"
    FILE: ClassVar[str] = "bento.yaml"
    COMMANDS: ClassVar[str] = "bentoml"
    NOT_IDENTITY: ClassVar[frozenset[str]] = Manifest.NOT_IDENTITY | {"bentoml_version"}

    service: str = ""
    entry_service: str = ""
    bentoml_version: str = __version__
    models: tuple[ModelRef, ...] = ()
    services: tuple[dict[str, Any], ...] = ()
    envs: tuple[dict[str, Any], ...] = ()
    schema: dict[str, Any] = field(default_factory=dict)
    args: dict[str, Any] = field(default_factory=dict)
    image: dict[str, Any] = field(default_factory=dict)
    description: str = ""

    def timeless(self, epoch: int = 0) -> BentoInfo:
        timeless = super().timeless(epoch)
        return replace(
            timeless,
            bentoml_version="",
            models=tuple(replace(ref, creation_time=None) for ref in self.models),
            services=tuple(map(_timeless_service, self.services)),
        )

    @cached_property
    def all_models(self) -> tuple[ModelRef, ...]:
        """The models of the store that the bento and its services need, each tag and alias once."""
        return tuple(ref for ref in self._every_model if ref.registry != HUGGING_FACE)

    @cached_property
    def hub_models(self) -> tuple[ModelRef, ...]:
        """The models on Hugging Face that the bento and its services need."""
        return tuple(ref for ref in self._every_model if ref.registry == HUGGING_FACE)

    @cached_property
    def _every_model(self) -> tuple[ModelRef, ...]:
        services = [
            ModelRef.from_data(m) for service in self.services for m in Reader(service).items("models")
        ]
        every = [*services, *self.models]
        return tuple({(ref.tag, ref.alias, ref.requested): ref for ref in every}.values())

    def to_data(self) -> dict[str, Any]:
        return {
            "service": self.service,
            "name": self.tag.name,
            "version": self.tag.version,
            "bentoml_version": self.bentoml_version,
            "creation_time": self.creation_time.isoformat(),
            "labels": self.labels,
            **({"description": self.description} if self.description else {}),
            "models": [ref.to_data() for ref in self.models],
            "entry_service": self.entry_service,
            "services": list(self.services),
            "envs": list(self.envs),
            "schema": self.schema,
            "args": self.args,
            "spec": _SPEC,
            "image": self.image,
            **self.others,
        }

    def _declared(self) -> dict[str, Any]:
        models = [ref.identity() for ref in self.models]
        services = [
            {**service, "models": [ModelRef.from_data(m).identity() for m in service.get("models") or ()]}
            for service in self.services
        ]
        return {**super()._declared(), "models": models, "services": services}

    @classmethod
    def _read(cls, data: Reader, listing: str) -> BentoInfo:
        info = cls(
            tag=data.tag(),
            service=data.text("service"),
            entry_service=data.text("entry_service"),
            bentoml_version=data.text("bentoml_version"),
            creation_time=data.time("creation_time"),
            labels=data.mapping("labels"),
            description=data.text("description"),
            models=tuple(map(ModelRef.from_data, data.items("models"))),
            services=tuple(Reader(service).data for service in data.items("services")),
            envs=tuple(Reader(env).data for env in data.items("envs")),
            schema=data.mapping("schema"),
            args=data.mapping("args"),
            image=data.mapping("image"),
            others=data.others(_BENTO_KEYS if data.data.get("spec") != _SPEC else {*_BENTO_KEYS, "spec"}),
            digest=data.digest("digest"),
            listing=listing,
            written=data.data,
        )
        _ = info.all_models  # here, where a mistake in one of them is an error of the manifest
        return info


def _timeless_service(service: dict[str, Any]) -> dict[str, Any]:
    models = [
        {key: value for key, value in ref.items() if key != "creation_time"} if isinstance(ref, dict) else ref
        for ref in service.get("models") or ()
    ]
    return {**service, "models": models} if models else service
