"""The NPY format: one array as bytes, without pickled objects (numpy's ``NEP 1``, versions 1.0 to 3.0)."""

from __future__ import annotations

import ast
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from .arrays import as_array

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NPY", "prefers_npy", "read_npy", "write_npy"]

NPY = "application/x-npy"

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
_MAX_HEADER = 4096  # bytes; the header of an array of numbers takes about 100
_MAX_DIMENSIONS = 32
_ELEMENT = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


class _Header(NamedTuple):
    dtype: str
    fortran_order: bool
    shape: tuple[int, ...]
    length: int  # of all that comes before the elements


def read_npy(data: bytes | bytearray | memoryview) -> np.ndarray[Any, Any]:
    """Return the array that NPY bytes hold, in the byte order of this machine; it may be written to.

    What the header promises is compared with the bytes that came before anything is allocated.

    Raises:
        ValueError: the bytes are no NPY file, or one of elements other than numbers and booleans.
    """
    import numpy as np

    view = memoryview(data)
    header = _read_header(view)
    dtype = np.dtype(header.dtype)
    size = math.prod(header.shape) * dtype.itemsize
    if size != len(view) - header.length:
        raise ValueError(
            f"the NPY header promises {size} bytes of elements, {len(view) - header.length} came"
        )
    flat = np.frombuffer(view[header.length :], dtype)
    if dtype.kind == "b":
        flat = flat.view(np.uint8) != 0  # a byte may be anything
    array = flat.reshape(header.shape, order="F" if header.fortran_order else "C")
    if not dtype.isnative:
        return array.astype(dtype.newbyteorder("="))
    return array if array.flags.writeable else array.copy(order="K")


def write_npy(value: Any) -> bytes:
    """Return an array, or what :func:`as_array` takes for one, as NPY bytes.

    Raises:
        ValueError: it is no array of numbers or booleans.
    """
    import numpy as np

    array = as_array(value)
    if not _ELEMENT.fullmatch(array.dtype.str):
        raise ValueError(f"elements of type `{array.dtype}` cannot be sent as {NPY}")
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    head = f"{{'descr': '{array.dtype.str}', 'fortran_order': {fortran}, 'shape': {array.shape}, }}".encode()
    padding = -(len(_MAGIC) + 4 + len(head) + 1) % 64
    length = len(head) + padding + 1
    start = _MAGIC + b"\x01\x00" + length.to_bytes(2, "little") + head + b" " * padding + b"\n"
    return start + (array.tobytes("F") if fortran else np.ascontiguousarray(array).tobytes())


def prefers_npy(accept: bytes) -> bool:
    """Say whether an ``Accept`` header names NPY before anything else that it likes as much."""
    if b"x-npy" not in accept.lower():
        return False
    ranges = [(piece.partition(b";")[0].strip().lower(), _quality(piece)) for piece in accept.split(b",")]
    best = max(quality for _, quality in ranges)
    return best > 0 and next(name for name, quality in ranges if quality == best) == NPY.encode()


def _read_header(view: memoryview) -> _Header:
    width = _LENGTH_BYTES.get(bytes(view[6:8]))
    if bytes(view[:6]) != _MAGIC or width is None:
        raise ValueError("these are no NPY bytes of version 1, 2 or 3")
    start = 8 + width
    length = int.from_bytes(view[8:start], "little")
    if length > _MAX_HEADER or len(view) < start + length:
        raise ValueError("the NPY header is too long, or cut off")
    try:
        found = ast.literal_eval(bytes(view[start : start + length]).decode("utf-8").strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as e:
        raise ValueError("the NPY header is no description of an array") from e
    match found:
        case {"descr": str(dtype), "fortran_order": bool(fortran), "shape": tuple(shape)} if len(found) == 3:
            return _Header(_checked_element(dtype), fortran, _checked_shape(shape), start + length)
    raise ValueError("the NPY header is no description of an array of numbers")


def _checked_element(dtype: str) -> str:
    if not _ELEMENT.fullmatch(dtype):
        raise ValueError(f"an array of elements `{dtype[:40]}` is not taken; send numbers or booleans")
    return dtype


def _checked_shape(shape: tuple[Any, ...]) -> tuple[int, ...]:
    if len(shape) > _MAX_DIMENSIONS or not all(type(n) is int and 0 <= n < 2**62 for n in shape):
        raise ValueError("the NPY header names no shape that an array can have")
    return shape


def _quality(piece: bytes) -> float:
    """Return the ``q`` of one range of an ``Accept`` header (RFC 9110, 12.4.2)."""
    for parameter in piece.split(b";")[1:]:
        name, _, value = parameter.strip().partition(b"=")
        if name.lower() == b"q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
