"""Arrays: what nested lists, numpy arrays, and the tensors of other libraries mean as one ``numpy.ndarray``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from struct import error as StructError
from struct import pack_into
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["as_array", "check_dtype", "dtype_name"]

_NUMBERS_AND_TEXT = "biufUMmO"  # kinds of elements that JSON can hold; objects are looked at one by one
_LONGEST_REASON = 200  # characters; numpy repeats a text that is no number, however long it is
_DIMENSIONS = 64  # as many as numpy has at most
_FEW = 64  # numbers that numpy takes in no time
_PACKED = 1 << 14  # numbers that are written into an array at once, each of them copied before
_PADDED = 1 << 20  # characters that the texts of an array may take, all as long as its longest ...
_PADDING = 4  # ... or so many times as many as they have themselves
_SMALL_FLOATS = ("bfloat16", "float8")  # which numpy does not have; float32 holds them exactly


def as_array(
    value: Any, dtype: str | None = None, shape: Sequence[int] | None = None
) -> np.ndarray[Any, Any]:
    """Return a value as an array of a dtype and shape; nothing is copied that already fits.

    ``None`` among numbers is NaN (JSON has no NaN). A number that the dtype cannot hold is an error, never
    cut off or wrapped around. Tensors of torch and tensorflow may live on any device and take part in gradients.

    Raises:
        ValueError: the value is not a number or nested lists of one shape, or does not fit dtype or shape.
    """
    import numpy as np

    if isinstance(value, str | bytes | dict | set | frozenset) or value is None:
        raise ValueError(f"an array is written as nested lists of numbers, not as {type(value).__name__}")
    try:
        array = _natural(value)
        if dtype is not None and array.dtype != (wanted := np.dtype(_numpy_name(dtype))):
            array = _converted(array, wanted)
    except (TypeError, OverflowError, FloatingPointError, ValueError) as e:
        raise ValueError(f"not an array: {str(e)[:_LONGEST_REASON]}") from e
    return array if shape is None else _shaped(array, tuple(shape))


def dtype_name(dtype: Any) -> str:
    """Return the name of an element type that numpy, torch or tensorflow has, or that is a name already."""
    name = getattr(dtype, "__name__", None) or getattr(dtype, "name", None) or str(dtype)
    return str(name).removeprefix("torch.")


def _numpy_name(dtype: str) -> str:
    """Return the name of the element type that holds ``dtype`` in numpy: ``bfloat16`` and smaller are ``float32``."""
    return "float32" if dtype.startswith(_SMALL_FLOATS) else dtype


def check_dtype(dtype: str | None) -> None:
    """Raise ``TypeError`` where JSON cannot hold elements of this type, or there is none of this name."""
    if dtype is None:
        return
    import numpy as np

    try:
        kind = np.dtype(_numpy_name(dtype)).kind
    except TypeError as e:
        raise TypeError(f"there is no element type `{dtype}`: {e}") from e
    if kind not in "biufU":
        raise TypeError(f"an array of element type `{dtype}` cannot be sent; take numbers, booleans or text")


def _natural(value: Any) -> np.ndarray[Any, Any]:
    """Refuse the element types that numpy falls back to when it is given something else than numbers."""
    import numpy as np

    plain = value if type(value) in (list, np.ndarray) else _from_tensor(value)
    if type(plain) is list:
        shape, numbers = _flat(plain)
        if (
            len(numbers) > _FEW
            and type(numbers[0]) is float
            and (packed := _packed(numbers, shape)) is not None
        ):
            return packed
        if _type_of_sum(numbers) is None:
            _check_padding(plain)
    array = np.asarray(plain)
    kind = array.dtype.kind
    if kind in "iufb":
        return array
    if isinstance(plain, (np.ndarray, np.generic)):
        if array.dtype.name.startswith(_SMALL_FLOATS):
            return array.astype(np.float32)
        if kind not in _NUMBERS_AND_TEXT:
            raise ValueError(f"elements of type `{array.dtype}` cannot be sent")
        return array
    if kind == "O":
        return np.asarray(plain, dtype=np.float64)  # None is NaN; anything else raises
    if kind != "U":
        raise ValueError(f"it holds elements of type `{array.dtype}`")
    if not all(isinstance(i, str) for i in np.asarray(plain, dtype=object).flat):
        raise ValueError("strings and numbers are mixed")
    return array


def _flat(lists: list[Any]) -> tuple[tuple[int, ...], list[Any]]:
    """Return the shape of nested lists and what they hold, in order; where they are uneven, the lists themselves."""
    shape, level = [len(lists)], lists
    while level and type(level[0]) is list:
        length = len(level[0])
        if len(level) == 1 and len(shape) < _DIMENSIONS:
            level = level[0]
        elif len(shape) < _DIMENSIONS and {*map(type, level)} == {list} and {*map(len, level)} == {length}:
            level = list(chain.from_iterable(level))
        else:
            return (), level
        shape.append(length)
    return tuple(shape), level


def _type_of_sum(numbers: list[Any]) -> type | None:
    """Return the type of a sum, the quickest way to know what is added up: None where it is not just numbers."""
    try:
        return type(sum(numbers))
    except (TypeError, OverflowError):  # text, lists, a whole number that no float holds
        return None


def _packed(numbers: list[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any] | None:
    """Return an array of floats, of which there is one at least: a third of numpy's time. None where some are no numbers."""
    import numpy as np

    array = np.empty(shape)
    try:
        for i in range(0, len(numbers), _PACKED):
            some = numbers[i : i + _PACKED] if len(numbers) > _PACKED else numbers
            pack_into(f"{len(some)}d", array.data, i * array.itemsize, *some)
    except (StructError, OverflowError):  # text, None, a whole number that no float holds
        return None
    return array


def _check_padding(lists: list[Any]) -> None:
    """Refuse texts of which an array would be far larger than they are: numpy makes room for the longest one everywhere."""
    import numpy as np

    items = np.asarray(lists, dtype=object).ravel()
    lengths = [len(item) for item in items if isinstance(item, str)]
    if max(lengths, default=0) * items.size > max(_PADDED, _PADDING * sum(lengths)):
        raise ValueError(
            "its texts are of very different lengths; an array has room for the longest one in each place"
        )


def _from_tensor(value: Any) -> Any:
    """Return the numpy array of a tensor of another library; any other value as it is."""
    module = type(value).__module__.partition(".")[0]
    if module == "torch" and hasattr(value, "detach"):
        value = value.detach()
        if value.is_sparse:
            value = value.to_dense()
        if str(value.dtype).removeprefix("torch.").startswith(_SMALL_FLOATS):
            value = value.float()
        return value.numpy(force=True)
    if module in ("tensorflow", "jaxlib", "jax") and hasattr(value, "__array__"):
        return value.__array__()
    return value


def _converted(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    if dtype.kind == "f":
        return array.astype(dtype) if dtype.itemsize >= array.dtype.itemsize else _rounded(array, dtype)
    if dtype.kind not in "iub" or array.dtype.kind == "b":
        return array.astype(dtype)
    exact = array.astype(np.float64) if array.dtype.kind == "U" else array
    with np.errstate(invalid="ignore"):
        converted = exact.astype(dtype)
    if not _same(converted, exact):
        raise ValueError(f"a number does not fit {dtype}")
    return converted


def _rounded(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return an array of a smaller type of floats, which may be too small for a number of it."""
    import numpy as np

    if array.dtype.kind in "fiu" and array.size:
        least, most = array.min(), array.max()  # NaN where there is one
        largest = float(np.finfo(dtype).max)
        if -largest <= least and most <= largest:
            return array.astype(dtype)
    with np.errstate(over="raise"):
        return array.astype(dtype)


def _same(converted: np.ndarray[Any, Any], exact: np.ndarray[Any, Any]) -> bool:
    """Say whether a conversion kept every number.

    Both ways are needed: a float of 2**63 becomes the largest ``int64``, and that compares as equal to it.
    """
    import numpy as np

    if exact.dtype.kind == "f" and converted.dtype.kind in "iu" and exact.size:
        limits = np.iinfo(converted.dtype)
        if not (float(limits.min) <= exact.min() and exact.max() < float(limits.max) + 1):
            return False  # also where there is a NaN
    return bool((converted == exact).all())


def _shaped(array: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if _fits(array.shape, shape):
        return array
    if shape.count(-1) > 1:
        raise ValueError(f"an array of shape {array.shape} is not of shape {shape}")
    return array.reshape(shape)


def _fits(actual: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(actual) == len(wanted) and all(w in (-1, a) for a, w in zip(actual, wanted, strict=True))
