"""Tables as Parquet, row group by row group, with nothing but what the format asks for.

Values are PLAIN, pages gzipped, and every column may miss values: what every reader of Parquet
takes. The libraries that write it weigh more than the site itself; this is what of the format a
flat table needs.

References
----------
Apache Parquet: file format, encodings and parquet.thrift, format version 2.
Apache Thrift: compact protocol.
"""

import gzip
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import IO, Any, NamedTuple

import numpy as np

ROWS_AT_ONCE = 50_000
MAGIC = b"PAR1"
CREATED_BY = "reread"

# Numbers of parquet.thrift.
BOOLEAN, INT64, DOUBLE, BYTE_ARRAY = 0, 2, 5, 6
OPTIONAL, UTF8, PLAIN, RLE, GZIP, DATA_PAGE = 1, 0, 0, 3, 2, 0


class Thrift:
    """A struct of Thrift's compact protocol, field after field."""

    I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.last = 0

    def i32(self, field: int, value: int) -> "Thrift":
        """Add a whole number."""
        return self._field(field, self.I32, zigzag(value))

    def i64(self, field: int, value: int) -> "Thrift":
        """Add a whole number that may be large."""
        return self._field(field, self.I64, zigzag(value))

    def text(self, field: int, value: str) -> "Thrift":
        """Add a text."""
        return self._field(field, self.BINARY, binary(value))

    def struct(self, field: int, value: "Thrift") -> "Thrift":
        """Add a struct."""
        return self._field(field, self.STRUCT, value.done())

    def i32s(self, field: int, values: Sequence[int]) -> "Thrift":
        """Add a list of whole numbers."""
        return self._list(field, self.I32, [zigzag(value) for value in values])

    def texts(self, field: int, values: Sequence[str]) -> "Thrift":
        """Add a list of texts."""
        return self._list(field, self.BINARY, [binary(value) for value in values])

    def structs(self, field: int, values: Sequence["Thrift"]) -> "Thrift":
        """Add a list of structs."""
        return self._list(field, self.STRUCT, [value.done() for value in values])

    def done(self) -> bytes:
        """Return the struct, with its end."""
        return bytes(self.bytes) + b"\0"

    def _list(self, field: int, kind: int, values: list[bytes]) -> "Thrift":
        n = len(values)
        head = bytes([n << 4 | kind]) if n < 15 else bytes([0xF0 | kind]) + varint(n)
        return self._field(field, self.LIST, head + b"".join(values))

    def _field(self, field: int, kind: int, value: bytes) -> "Thrift":
        # Fields come in ascending order, so the step from the last one is enough.
        self.bytes += bytes([(field - self.last) << 4 | kind]) + value
        self.last = field
        return self


def varint(value: int) -> bytes:
    """Return a number from 0, seven bits a byte."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def zigzag(value: int) -> bytes:
    """Return a number with its sign in the lowest bit."""
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def binary(text: str) -> bytes:
    """Return a text with its length."""
    data = text.encode()
    return varint(len(data)) + data


class Kind(NamedTuple):
    """How values of a column are stored."""

    number: int  # of parquet.thrift
    plain: Callable[[list[Any]], bytes]


def _texts(values: list[str]) -> bytes:
    return b"".join(struct.pack("<I", len(data)) + data for data in map(str.encode, values))


KINDS = {
    "text": Kind(BYTE_ARRAY, _texts),
    "number": Kind(DOUBLE, lambda values: np.array(values, dtype="<f8").tobytes()),
    "integer": Kind(INT64, lambda values: np.array(values, dtype="<i8").tobytes()),
    "boolean": Kind(
        BOOLEAN,
        lambda values: np.packbits(np.array(values, dtype=np.bool_), bitorder="little").tobytes(),
    ),
}


def write_parquet(
    out: IO[bytes], columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]
) -> int:
    """Write a table; return how many rows there were. Memory holds ROWS_AT_ONCE of them.

    Parameters
    ----------
    out : written from start to end, without going back
    columns : (name, kind), kind being one of KINDS
    rows : values in the order of the columns, None where one is missing
    """
    place = out.write(MAGIC)
    groups: list[Thrift] = []
    n_rows = 0
    for some in _batches(rows):
        chunks: list[Thrift] = []
        size, start = 0, place
        for (name, kind), values in zip(columns, zip(*some, strict=True), strict=True):
            page, raw = _page(KINDS[kind], values)
            out.write(page)
            of_column = (
                Thrift()
                .i32(1, KINDS[kind].number)
                .i32s(2, [PLAIN, RLE])
                .texts(3, [name])
                .i32(4, GZIP)
                .i64(5, len(some))
                .i64(6, raw)
                .i64(7, len(page))
                .i64(9, place)
            )
            chunks.append(Thrift().i64(2, place).struct(3, of_column))
            place, size = place + len(page), size + raw
        groups.append(
            Thrift()
            .structs(1, chunks)
            .i64(2, size)
            .i64(3, len(some))
            .i64(5, start)
            .i64(6, place - start)
        )
        n_rows += len(some)
    footer = (
        Thrift()
        .i32(1, 2)
        .structs(2, _schema(columns))
        .i64(3, n_rows)
        .structs(4, groups)
        .text(6, CREATED_BY)
        .done()
    )
    out.write(footer + struct.pack("<I", len(footer)) + MAGIC)
    return n_rows


def _batches(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    each = iter(rows)
    while some := list(islice(each, ROWS_AT_ONCE)):
        yield some


def _schema(columns: Sequence[tuple[str, str]]) -> list[Thrift]:
    found = [Thrift().text(4, "table").i32(5, len(columns))]
    for name, kind in columns:
        number = KINDS[kind].number
        element = Thrift().i32(1, number).i32(3, OPTIONAL).text(4, name)
        if number == BYTE_ARRAY:
            # A text, said in the old way and in the new one.
            element.i32(6, UTF8).struct(10, Thrift().struct(1, Thrift()))
        found.append(element)
    return found


def _page(kind: Kind, values: Sequence[Any]) -> tuple[bytes, int]:
    """Return a page with its header, and its size before compression with the header."""
    there = np.array([value is not None for value in values], dtype=np.bool_)
    # Which values are there: one bit each, in groups of eight.
    levels = varint(-(-len(values) // 8) << 1 | 1)
    levels += np.packbits(there, bitorder="little").tobytes()
    data = struct.pack("<I", len(levels)) + levels
    data += kind.plain([value for value in values if value is not None])
    packed = gzip.compress(data, 6, mtime=0)
    header = (
        Thrift()
        .i32(1, DATA_PAGE)
        .i32(2, len(data))
        .i32(3, len(packed))
        .struct(5, Thrift().i32(1, len(values)).i32(2, PLAIN).i32(3, RLE).i32(4, RLE))
        .done()
    )
    return header + packed, len(header) + len(data)
