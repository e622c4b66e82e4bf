"""Blobs that are made of files anew whenever they are read: their files must still be what they were the first time.

Files that changed and kept their time are found so before the last bytes of a layer leave: nobody who takes it has to notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ...exceptions import BentoMLException
from .codec import crc32
from .model import Blob

__all__ = ["Remade", "Summed"]


@dataclass(slots=True)
class Summed:
    """A blob whose checksum is known once it has been read."""

    source: Blob
    checksum: int = 0

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes."""
        self.checksum = 0
        for chunk in self.source.chunks():
            self.checksum = crc32(chunk, self.checksum)
            yield chunk


class Remade(NamedTuple):
    """A blob that has to have this checksum; ``checked`` is the same, and says of each of its files whether it is damaged."""

    source: Blob
    checked: Blob
    checksum: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes.

        Raises:
            BentoMLException: they are not what they were; the message names the file.
        """
        summed = Summed(self.source)
        yield from summed.chunks()
        if summed.checksum == self.checksum:
            return
        try:
            for _ in self.checked.chunks():
                pass
        except BentoMLException as e:
            raise BentoMLException(f"{e}; `bentoml verify` says what else is") from e
        raise BentoMLException("files changed while they were read; run the command again")
