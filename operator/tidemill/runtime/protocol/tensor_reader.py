"""The tensors of an inference request, in JSON or as bytes, to rows: all forms that the protocol allows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidemill.runtime.protocol import tensors
from tidemill.runtime.protocol.categories import Elements
from tidemill.runtime.protocol.errors import bad, shown
from tidemill.runtime.protocol.features import NO_CATEGORIES, Features, Rows, must_be_finite

Tensors = dict[str, tuple[tuple[int, ...], tensors.Numbers | Elements]]
"""By name, the shape and the elements."""


class TensorReader:
    """Reads the tensors of requests for one version of a model."""

    def __init__(self, features: Features) -> None:
        self.features = features

    def read(self, inputs: list[Any], raw: memoryview) -> tuple[Rows, bool]:
        """Return the rows of the tensors, and whether one tensor held them all, without names of features."""
        parsed: Tensors = {}
        offset = 0
        for index, tensor in enumerate(inputs):
            where = f"inputs[{index}]"
            if type(tensor) is not dict:
                raise bad(f"{where}: must be an object")
            name = tensor.get("name")
            if not isinstance(name, str):
                raise bad(f"{where}.name: must be a string, not {shown(name)}")
            if name in parsed:
                raise bad(f"{where}.name: duplicate name {shown(name)}")
            parameters = tensor.get("parameters")
            size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
            typed = name in self.features.typed and (len(inputs) > 1 or not self.features.numeric)
            if size is None:
                parsed[name] = (tensors.elements_from_json if typed else tensors.from_json)(tensor, where)
                continue
            if type(size) is not int or size < 0 or offset + size > len(raw):
                raise bad(
                    f"{where}.parameters.binary_data_size: must be at most the {len(raw) - offset} bytes that follow, not {shown(size)}"
                )
            shape, given = tensors.from_bytes(tensor, raw[offset : offset + size], where)
            if not isinstance(given, Elements):
                given = tensors.elements_of(given, tensor["datatype"]) if typed else tensors.as_floats(given)
            parsed[name] = shape, given
            offset += size
        if offset != len(raw):
            raise bad(f"body: {len(raw) - offset} bytes belong to no tensor")
        protected = self._protected(parsed)
        whole = self._whole(parsed)
        rows = self._columns(parsed) if whole is None else self._matrix(*parsed[whole])
        if raw:
            must_be_finite(rows.matrix, self.features.names)
        if protected:
            for column, values in protected.items():
                if len(values) != len(rows.matrix):
                    raise bad(f"inputs.{column}.shape: has {len(values)} rows, where there are {len(rows.matrix)}")
            rows = Rows(rows.matrix, rows.categories | self.features.protected_categories(protected))
        return rows, whole is not None

    def _whole(self, parsed: Tensors) -> str | None:
        """Return the name of the tensor that holds all features in the model's order; None where each has one of its own.

        It is the only one, or the only one as wide as that among others that this version does not know: columns that are sent
        ahead, or that another version protects.
        """
        count, index = self.features.count, self.features.index
        if len(parsed) == 1:
            (name,) = parsed
            return name if count > 1 or name not in index else None
        if not self.features.numeric or not parsed.keys().isdisjoint(index):
            return None
        wide = [
            name
            for name, (shape, values) in parsed.items()
            if len(shape) == 2 and shape[1] == count and not isinstance(values, list)
        ]
        return wide[0] if len(wide) == 1 else None

    def _protected(self, parsed: Tensors) -> dict[str, list[Any]]:
        """Protected columns, taken from the tensors; one tensor alone is the model's, whatever its name."""
        names = [column.name for column in self.features.protected if column.name in parsed]
        if not names or len(parsed) == 1:
            return {}
        return {
            name: values if isinstance(values, list) else _as_listed(values)
            for name, (_, values) in ((name, parsed.pop(name)) for name in names)
        }

    def _matrix(self, shape: tuple[int, ...], values: tensors.Numbers | Elements) -> Rows:
        count = self.features.count
        if not self.features.numeric:
            raise bad(f"inputs: this model takes categories; send one tensor per feature: {self._wanted()}")
        if isinstance(values, list):
            raise bad("inputs[0].datatype: must be numeric, since all features of this model are numbers")
        if len(shape) != 2 or shape[1] != count:
            raise bad(
                f"inputs[0].shape: must be [rows, {count}], one column per feature in the model's order, not {list(shape)}"
            )
        if shape[0] == 0:
            raise bad("inputs[0].shape: at least one row is required")
        return Rows(values.reshape(shape), NO_CATEGORIES)

    def _columns(self, parsed: Tensors) -> Rows:
        features = self.features
        if any(name not in parsed for name in features.names):
            parsed = features.column_names.renamed(parsed)
        missing = [name for name in features.names if name not in parsed]
        if missing:
            _, why = features.column_names.missing(parsed) or ("", "")
            also = f" ({why.rstrip('?')})" if why else ""
            raise bad(f"inputs: no tensor for {', '.join(missing[:5])}{also}; this model takes {self._wanted()}")
        columns: list[Any] = []
        rows = -1
        for name in features.names:
            shape, values = parsed[name]
            if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
                raise bad(f"inputs.{name}.shape: must be [rows] or [rows, 1], not {list(shape)}")
            if rows not in (-1, len(values)):
                raise bad(f"inputs.{name}.shape: has {len(values)} rows, where {features.names[0]} has {rows}")
            rows = len(values)
            columns.append(values)
        if rows == 0:
            raise bad("inputs: at least one row is required")
        if features.numeric and not any(isinstance(values, list) for values in columns):
            return Rows(np.stack(columns, axis=1), NO_CATEGORIES)
        listed = [values if isinstance(values, list) else _as_listed(values) for values in columns]
        return features.from_columns(listed, lambda column, row: f"inputs.{features.names[column]}.data[{row}]")

    def _wanted(self) -> str:
        names = self.features.names
        return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _as_listed(values: tensors.Numbers) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
