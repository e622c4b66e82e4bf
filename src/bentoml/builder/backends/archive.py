"""The sinks that are one file: an archive, as OCI or as `docker load` has it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ...exceptions import InvalidArgument
from ...paths import atomic_write
from ...store.archives.tar import Tar
from ...store.archives.watch import Unwatched, Watch, counted
from ...store.digest import Digest
from ..oci.archive import docker_archive, oci_archive, without_zstd
from ..oci.blobs import writing
from ..oci.model import Image, ImageIndex, Referrer
from .output import STDOUT

__all__ = ["ArchiveSink"]


class ArchiveSink(NamedTuple):
    """Write an image to a file, which takes its name when it is whole; ``-`` is stdout."""

    file: Path
    form: Literal["oci", "docker"]
    watch: Watch = Unwatched()

    def write(
        self, image: Image | ImageIndex, names: Sequence[str], referrers: Sequence[Referrer] = ()
    ) -> str:
        """Write the image and return where it is and what its digest is."""
        archive, digest = self._archive(image, names, referrers)
        self.watch.expect(sum(entry.size for entry in archive.entries))
        chunks = counted(archive.chunks(), self.watch)
        if str(self.file) == STDOUT:
            sys.stdout.buffer.writelines(chunks)
            sys.stdout.buffer.flush()
            return f"{self.form} archive on stdout has {digest}"
        with writing(self.file):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.file) as target:
                for chunk in chunks:
                    target.write(chunk)
        return f"{self.form} archive `{self.file}` has {digest}"

    def _archive(
        self, image: Image | ImageIndex, names: Sequence[str], referrers: Sequence[Referrer]
    ) -> tuple[Tar, Digest]:
        if self.form == "oci":
            return oci_archive(image, names, referrers), image.root.digest
        if isinstance(image, ImageIndex):
            raise InvalidArgument(
                "an archive for `docker load` holds the image of one platform; take `type=oci-archive`, or name one `--platform`"
            )
        return docker_archive(without_zstd(image), names), image.config_descriptor.digest
