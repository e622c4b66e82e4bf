"""Trust: may the pickled content of an item be loaded, which can run any code?

What was made here is trusted. What came from elsewhere and holds pickled content is not, until somebody says so. Both
is remembered by the digest of the item, which names its content: ``$BENTOML_HOME/received/<digest>``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..config import Home
from ..exceptions import BentoMLException
from ..paths import write_atomic
from ..tag import Tag
from .digest import Digest
from .staging import Staging

__all__ = ["Receipt", "Trust"]

_NAMED = 5  # files that a message names


class Receipt(NamedTuple):
    """Say of an item with pickled content where it came from, which files hold it, and whether it is trusted."""

    origin: str
    files: tuple[str, ...]
    is_trusted: bool = False


class Trust:
    """What is known of the items of a store that came from elsewhere and hold pickled content."""

    def __init__(self, home: Home) -> None:
        self._root = home.root / "received"
        self._staging = Staging(home)

    def check(self, tag: Tag, digest: Digest) -> None:
        """Make sure that the pickled content of a model may be loaded.

        Raises:
            BentoMLException: it came from elsewhere, and nobody said that it is trusted.
        """
        receipt = self.receipt(digest)
        if receipt is None or receipt.is_trusted:
            return
        files = ", ".join(f"`{file}`" for file in receipt.files[:_NAMED])
        more = f" and {len(receipt.files) - _NAMED} more" if len(receipt.files) > _NAMED else ""
        raise BentoMLException(
            f"model `{tag}` came from `{receipt.origin}` and holds pickled content ({files}{more}), which can run any code "
            f"when it is loaded; if you trust where it came from, run `bentoml models trust {tag}`"
        )

    def receipt(self, digest: Digest) -> Receipt | None:
        """Return what is known of an item; None of one that was made here or holds no pickled content."""
        try:
            data = json.loads(self._file(digest).read_bytes())
            return Receipt(str(data["origin"]), tuple(map(str, data["files"])), data["is_trusted"] is True)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return Receipt("elsewhere", ())  # damaged: rather asked once more than never

    def received(self, digest: Digest, origin: str, files: Sequence[str], *, is_trusted: bool) -> Receipt:
        """Remember that an item with pickled content came from elsewhere; one that is trusted stays so."""
        known = self.receipt(digest)
        if known is not None and known.is_trusted:
            return known
        receipt = Receipt(origin, tuple(files), is_trusted)
        self._write(digest, receipt)
        return receipt

    def trust(self, digest: Digest) -> Receipt | None:
        """Trust an item from now on; return what is known of it."""
        receipt = self.receipt(digest)
        if receipt is None or receipt.is_trusted:
            return receipt
        trusted = receipt._replace(is_trusted=True)
        self._write(digest, trusted)
        return trusted

    def _write(self, digest: Digest, receipt: Receipt) -> None:
        with self._staging.publishing():  # so that what is half written was left by the dead
            self._root.mkdir(parents=True, exist_ok=True)
            write_atomic(self._file(digest), json.dumps(receipt._asdict()).encode())

    def _file(self, digest: Digest) -> Path:
        return self._root / digest.hex
