"""Tensors of the Open Inference Protocol as arrays, from JSON and from the binary extension.

Source: the protocol's REST specification (kserve/open-inference-protocol: specification/protocol/inference_rest.md) and
Triton's binary tensor data extension.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.protocol.categories import FP64, PRECISIONS, Elements
from tidemill.runtime.protocol.errors import bad, shown

NUMBERS: Final[dict[str, Any]] = {
    "FP64": np.dtype("<f8"),
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "BOOL": np.dtype("?"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
}
FLOATS: Final = frozenset({"FP64", "FP32", "FP16", "BF16"})
DATATYPES: Final = (*NUMBERS, "BF16", "BYTES")
MAX_DIMENSIONS: Final = 8

Numbers = NDArray[Any]


def shape_of(tensor: dict[str, Any], where: str) -> tuple[int, ...]:
    """The declared shape, checked to be a short list of whole numbers."""
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not shape or len(shape) > MAX_DIMENSIONS:
        raise bad(f"{where}.shape: must be a list of 1 to {MAX_DIMENSIONS} whole numbers, such as [1, 30]")
    for size in shape:
        if type(size) is not int or size < 0:
            raise bad(f"{where}.shape: must hold whole numbers from 0, not {shown(size)}")
    return tuple(shape)


def from_json(tensor: dict[str, Any], where: str) -> tuple[tuple[int, ...], Numbers | Elements]:
    """Return the shape and the elements of a tensor given as JSON: numbers as a flat array, BYTES as a flat list of strings.

    A `null` is a missing value: NaN among numbers, None among strings.
    """
    shape, datatype, data = _described(tensor, where)
    if datatype == "BYTES":
        return shape, _texts(data, shape, where)
    values = numbers(data, shape, where)
    if datatype not in FLOATS:
        _check_datatype(values, datatype, where)
    return shape, values


def elements_from_json(tensor: dict[str, Any], where: str) -> tuple[tuple[int, ...], Elements]:
    """Return the shape and the elements of a tensor given as JSON, each in its own type: integers keep all their digits."""
    shape, datatype, data = _described(tensor, where)
    if datatype == "BYTES":
        return shape, _texts(data, shape, where)
    if data and isinstance(data[0], list):
        data = _flat(data, shape, where)
    _check_count(len(data), shape, where)
    elements = Elements(_element(value, datatype, f"{where}.data[{index}]") for index, value in enumerate(data))
    elements.precision = PRECISIONS.get(datatype, FP64)
    return shape, elements


def _described(tensor: dict[str, Any], where: str) -> tuple[tuple[int, ...], str, list[Any]]:
    shape = shape_of(tensor, where)
    datatype = tensor.get("datatype")
    data = tensor.get("data")
    if datatype not in DATATYPES:
        raise bad(f"{where}.datatype: must be one of {', '.join(DATATYPES)}, not {shown(datatype)}")
    if not isinstance(data, list):
        raise bad(f"{where}.data: must be a list")
    return shape, datatype, data


def _element(value: Any, datatype: str, where: str) -> int | float | bool | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)):
        raise bad(f"{where}: must be a number or null, not {shown(value)}")
    if datatype in FLOATS:
        try:
            return PRECISIONS[datatype].rounded(float(value))
        except OverflowError:
            raise bad(f"{where}: is too large a number for FP64") from None
    if datatype == "BOOL":
        if value not in (0, 1):
            raise bad(f"{where}: must be true or false in a tensor of BOOL, not {shown(value)}")
        return bool(value)
    bounds = np.iinfo(NUMBERS[datatype])
    if value != value // 1 or not bounds.min <= value <= bounds.max:
        raise bad(
            f"{where}: must be a whole number from {bounds.min} to {bounds.max} in a tensor of {datatype}, not {shown(value)}"
        )
    # A number written as a float has lost its last digits beyond 2**53 already, and stays one.
    return value if isinstance(value, float) and abs(value) >= FP64.exact else int(value)


def elements_of(values: Numbers, datatype: str) -> Elements:
    """Return an array's elements, each in its own type; NaN is a missing value."""
    elements = Elements(None if value != value else value for value in values.tolist())
    elements.precision = PRECISIONS.get(datatype, FP64)
    return elements


def as_floats(values: Numbers) -> Numbers:
    """Return an array of numbers as one of FP64 or FP32."""
    return values if values.dtype.kind == "f" and values.dtype.itemsize >= 4 else values.astype(np.float64)


def _check_datatype(values: Numbers, datatype: str, where: str) -> None:
    """Refuse numbers that the tensor's own datatype cannot hold; NaN stands for `null`."""
    if datatype == "BOOL":
        wrong, wanted = (values != 0) & (values != 1), "true or false"
    else:
        bounds = np.iinfo(NUMBERS[datatype])
        wrong = (values != np.trunc(values)) | (values < bounds.min) | (values > bounds.max)
        wanted = f"a whole number from {bounds.min} to {bounds.max}"
    wrong &= ~np.isnan(values)
    if wrong.any():
        index = int(wrong.argmax())
        raise bad(f"{where}.data[{index}]: must be {wanted} in a tensor of {datatype}, not {values[index]:g}")


def numbers(data: list[Any], shape: tuple[int, ...], where: str) -> Numbers:
    """The numbers of a JSON list, flat or nested by rows, as a flat array of float64 with NaN for each `null`.

    `struct` converts three times faster than numpy, and refuses strings, which numpy would take for numbers or,
    with one long string among many elements, turn into a huge array.
    """
    try:
        if data and type(data[0]) is list:
            if len(shape) == 2 and len(data) == shape[0]:
                pack = struct.Struct(f"{shape[1]}d").pack
                return np.frombuffer(b"".join([pack(*row) for row in data]))
        else:
            return np.frombuffer(struct.pack(f"{math.prod(shape)}d", *data))
    except (struct.error, OverflowError, TypeError):
        pass
    return _carefully(data, shape, where)


def _carefully(data: list[Any], shape: tuple[int, ...], where: str) -> Numbers:
    """Return the same as `numbers`, also for missing values and deeper nesting; name the first element that is wrong."""
    if data and isinstance(data[0], list):
        data = _flat(data, shape, where)
    _check_count(len(data), shape, where)
    for index, value in enumerate(data):
        if value is not None and not isinstance(value, (int, float)):
            raise bad(f"{where}.data[{index}]: must be a number or null, not {shown(value)}")
    try:
        return np.array([math.nan if value is None else float(value) for value in data])
    except OverflowError:
        raise bad(f"{where}.data: holds a whole number that is too large for FP64") from None


def _flat(data: list[Any], shape: tuple[int, ...], where: str) -> list[Any]:
    level: list[Any] = data
    if len(level) != shape[0]:
        raise bad(f"{where}.data: holds {len(level)} rows, but shape {list(shape)} says {shape[0]}")
    for below in shape[1:]:
        for part in level:
            if not isinstance(part, list) or len(part) != below:
                raise bad(f"{where}.data: is nested otherwise than shape {list(shape)} says")
        level = [value for part in level for value in part]
    return level


def _texts(data: list[Any], shape: tuple[int, ...], where: str) -> Elements:
    if data and isinstance(data[0], list):
        data = _flat(data, shape, where)
    _check_count(len(data), shape, where)
    for index, value in enumerate(data):
        if value is not None and not isinstance(value, str):
            raise bad(f"{where}.data[{index}]: must be a string or null in a BYTES tensor, not {shown(value)}")
    return Elements(data)


def _check_count(count: int, shape: tuple[int, ...], where: str) -> None:
    if count != math.prod(shape):
        raise bad(f"{where}.data: holds {count} elements, but shape {list(shape)} asks for {math.prod(shape)}")


def from_bytes(tensor: dict[str, Any], raw: memoryview, where: str) -> tuple[tuple[int, ...], Numbers | Elements]:
    """Return the shape and the elements of a tensor whose elements came as bytes, little-endian, in row-major order.

    Numbers keep their datatype, but for BF16, which becomes FP32.
    """
    shape = shape_of(tensor, where)
    datatype = tensor.get("datatype")
    count = math.prod(shape)
    if datatype == "BYTES":
        texts = _length_prefixed(raw, where)
        _check_count(len(texts), shape, where)
        return shape, texts
    if datatype == "BF16":
        _check_bytes(len(raw), count * 2, where)
        wide = np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)
        return shape, wide.view(np.float32)
    dtype = NUMBERS.get(datatype) if isinstance(datatype, str) else None
    if dtype is None:
        raise bad(f"{where}.datatype: must be one of {', '.join(DATATYPES)}, not {shown(datatype)}")
    _check_bytes(len(raw), count * dtype.itemsize, where)
    return shape, np.frombuffer(raw, dtype)


def _check_bytes(given: int, wanted: int, where: str) -> None:
    if given != wanted:
        raise bad(f"{where}.parameters.binary_data_size: is {given}, but the shape and datatype ask for {wanted} bytes")


def _length_prefixed(raw: memoryview, where: str) -> Elements:
    texts = Elements()
    offset = 0
    while offset < len(raw):
        end = offset + 4 + int.from_bytes(raw[offset : offset + 4], "little")
        if offset + 4 > len(raw) or end > len(raw):
            raise bad(f"{where}: the length of element {len(texts)} reaches past the tensor's end")
        try:
            texts.append(str(raw[offset + 4 : end], "utf-8"))
        except UnicodeDecodeError:
            raise bad(f"{where}: element {len(texts)} is not UTF-8") from None
        offset = end
    return texts


def to_length_prefixed(texts: Iterable[str]) -> bytes:
    """Strings as the elements of a BYTES tensor.

    >>> to_length_prefixed(["ab"])
    b'\\x02\\x00\\x00\\x00ab'
    """
    encoded = [text.encode() for text in texts]
    return b"".join(part for text in encoded for part in (len(text).to_bytes(4, "little"), text))
