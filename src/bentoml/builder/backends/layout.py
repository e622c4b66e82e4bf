"""The sink that is a folder: an OCI image layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..oci.blobs import writing
from ..oci.layout import write_layout
from ..oci.model import Image, ImageIndex, Referrer

__all__ = ["LayoutSink"]


@dataclass(frozen=True, slots=True)
class LayoutSink:
    """Put images into an OCI layout; what is there already is not written again."""

    folder: Path

    def write(
        self, image: Image | ImageIndex, names: Sequence[str], referrers: Sequence[Referrer] = ()
    ) -> str:
        """Write the image and return where it is and what its digest is."""
        with writing(self.folder):
            write_layout(self.folder, image, names, referrers)
        return f"OCI layout `{self.folder}` has {image.root.digest}"
