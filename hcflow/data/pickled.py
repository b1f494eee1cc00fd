"""Pickled uint8 arrays, found without unpickling: nothing is called, nothing is looked up, no pixel is read.

Python's unpickler can be restricted to some names, but it still allocates what a file declares and holds all that
it reads. This one knows the two dozen instructions that lists of arrays are written with (protocols 2 to 4), keeps
where the bytes of each array lie, and refuses the rest.
"""

from __future__ import annotations

import os
import pickle
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import BinaryIO, NoReturn

from hcflow.errors import InputError

__all__ = ["PickledArray", "Span", "find_arrays"]


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the file that were not read."""

    start: int
    size: int


@dataclass(slots=True)
class PickledArray:
    """A uint8 array of the file; `data` is None until its contents were declared."""

    shape: tuple[int, ...] = ()
    fortran: bool = False
    data: Span | None = None


class _Known(Enum):
    """What an array's pickle may name. These are never looked up: only what they stand for matters."""

    RECONSTRUCT = auto()
    NDARRAY = auto()
    DTYPE = auto()
    UINT8 = auto()
    """The dtype itself, made by calling DTYPE."""


_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): _Known.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _Known.RECONSTRUCT,
    ("numpy", "ndarray"): _Known.NDARRAY,
    ("imageio.core.util", "Array"): _Known.NDARRAY,  # what imageio's older imread returned, and crops of it
    ("numpy", "dtype"): _Known.DTYPE,
}
_LONGEST_TEXT = 1000
_INSTRUCTIONS = {instruction.code.encode("latin1"): instruction.name for instruction in pickletools.opcodes}
_MORE = {
    "PERSID": "a persistent id",
    "BINPERSID": "a persistent id",
    "EXT1": "an extension code",
    "EXT2": "an extension code",
    "EXT4": "an extension code",
}


def find_arrays(stream: BinaryIO) -> object:
    """Find what a pickle holds: PickledArray, int, str, bool, None, Span for bytes, and lists and tuples of these.

    Raises:
        InputError: truncated, not a pickle, or anything but such values; no code was run.
    """
    try:
        return _Reader(stream).read()
    except (IndexError, KeyError, TypeError, UnicodeDecodeError):
        raise _foreign() from None


class _Reader:
    """The stack machine of the pickle format, without the instructions that could do anything."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.size = os.fstat(stream.fileno()).st_size
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        push, number = self.stack.append, self._number
        self.actions: dict[bytes, Callable[[], object]] = {
            pickle.FRAME: lambda: number(8),
            pickle.NONE: lambda: push(None),
            pickle.NEWTRUE: lambda: push(True),
            pickle.NEWFALSE: lambda: push(False),
            pickle.BININT: lambda: push(number(4, signed=True)),
            pickle.BININT1: lambda: push(number(1)),
            pickle.BININT2: lambda: push(number(2)),
            pickle.LONG1: lambda: push(number(number(1), signed=True)),
            pickle.SHORT_BINUNICODE: lambda: push(self._text(number(1))),
            pickle.BINUNICODE: lambda: push(self._text(number(4))),
            pickle.SHORT_BINBYTES: lambda: push(self._span(number(1))),
            pickle.BINBYTES: lambda: push(self._span(number(4))),
            pickle.BINBYTES8: lambda: push(self._span(number(8))),
            pickle.EMPTY_TUPLE: lambda: push(()),
            pickle.TUPLE1: lambda: self._tuple(len(self.stack) - 1),
            pickle.TUPLE2: lambda: self._tuple(len(self.stack) - 2),
            pickle.TUPLE3: lambda: self._tuple(len(self.stack) - 3),
            pickle.MARK: lambda: self.marks.append(len(self.stack)),
            pickle.TUPLE: lambda: self._tuple(self.marks.pop()),
            pickle.EMPTY_LIST: lambda: push([]),
            pickle.APPEND: lambda: self._append(len(self.stack) - 1),
            pickle.APPENDS: lambda: self._append(self.marks.pop()),
            pickle.MEMOIZE: lambda: self._remember(len(self.memo)),
            pickle.BINPUT: lambda: self._remember(number(1)),
            pickle.LONG_BINPUT: lambda: self._remember(number(4)),
            pickle.BINGET: lambda: push(self.memo[number(1)]),
            pickle.LONG_BINGET: lambda: push(self.memo[number(4)]),
            pickle.GLOBAL: lambda: push(_known(self._line(), self._line())),
            pickle.STACK_GLOBAL: lambda: push(_known(*self._pop(2))),
            pickle.INST: lambda: _refuse_name(self._line(), self._line()),
            pickle.REDUCE: lambda: push(_call(*self._pop(2))),
            pickle.BUILD: lambda: _build(*self._pop(2, keep=1)),
        }

    def read(self) -> object:
        if self._take(1) != pickle.PROTO or self._number(1) > pickle.HIGHEST_PROTOCOL:
            raise _foreign()
        while (code := self._take(1)) != pickle.STOP:
            if code not in self.actions:
                _refuse_instruction(code)
            self.actions[code]()
        if self.stream.tell() != self.size:
            raise InputError(
                f"expected the file to end after its list, got {self.size - self.stream.tell():,} more bytes; "
                "is it several files in one?"
            )
        (result,) = self._pop(1)
        return result

    def _take(self, size: int) -> bytes:
        data = self.stream.read(size)
        if len(data) < size:
            raise _truncated()
        return data

    def _number(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self._take(size), "little", signed=signed)

    def _text(self, size: int) -> str:
        if size > _LONGEST_TEXT:
            raise InputError(f"expected names of arrays, got a text of {size:,} bytes; is this another kind of file?")
        return self._take(size).decode()

    def _line(self) -> str:
        line = self.stream.readline(_LONGEST_TEXT)
        if not line.endswith(b"\n"):
            raise _truncated()
        return line[:-1].decode()

    def _span(self, size: int) -> Span:
        start = self.stream.tell()
        if size > self.size - start:
            raise _truncated()
        self.stream.seek(start + size)
        return Span(start, size)

    def _pop(self, count: int, keep: int = 0) -> list[object]:
        """The last `count` values, all but the first `keep` of them taken off."""
        if len(self.stack) < count:
            raise IndexError
        values = self.stack[-count:]
        del self.stack[keep - count :]
        return values

    def _tuple(self, start: int) -> None:
        if start < 0:
            raise IndexError
        self.stack[start:] = [tuple(self.stack[start:])]

    def _append(self, start: int) -> None:
        target = self.stack[start - 1] if start > 0 else None
        if not isinstance(target, list):
            raise TypeError
        target += self.stack[start:]
        del self.stack[start:]

    def _remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]


def _known(module: object, name: object) -> _Known:
    if not isinstance(module, str) or not isinstance(name, str):
        raise TypeError
    known = _NAMES.get((module, name))
    if known is None:
        _refuse_name(module, name)
    return known


def _refuse_name(module: str, name: str) -> NoReturn:
    raise InputError(
        f"expected arrays and nothing else, got a pickle that asks for {f'{module}.{name}'[:100]!a}; it was not run"
    )


def _refuse_instruction(code: bytes) -> NoReturn:
    name = _INSTRUCTIONS.get(code)
    if name is None:
        raise _foreign()
    what = _MORE.get(name, f"the instruction {name}")
    raise InputError(f"expected arrays and nothing else, got a pickle that asks for {what}; it was not run")


def _foreign() -> InputError:
    return InputError("expected a pickled list of arrays, got a damaged or foreign file; get it again")


def _truncated() -> InputError:
    return InputError("expected a whole file, got one that ends in the middle; get it again")


def _call(function: object, arguments: object) -> object:
    """The two calls of an array's pickle: an empty array, and a dtype."""
    match function, arguments:
        case _Known.RECONSTRUCT, (_Known.NDARRAY, (0,), Span()):
            return PickledArray()
        case _Known.DTYPE, ("u1", bool(), bool()):
            return _Known.UINT8
        case _Known.DTYPE, (str() as code, bool(), bool()):
            raise InputError(f"expected arrays of 8-bit pixels (dtype u1), got dtype {code[:100]!a}")
    raise InputError("expected arrays and nothing else, got a pickle that asks for another call; it was not run")


def _build(target: object, state: object) -> None:
    """The two states of an array's pickle: what a dtype is, which is known by now, and what an array holds."""
    match target, state:
        case _Known.UINT8, (3, str(), None, None, None, -1, -1, 0):
            return
        case PickledArray(data=None), (1, tuple() as shape, _Known.UINT8, bool() as fortran, Span() as data):
            if not all(type(length) is int for length in shape):
                raise TypeError
            target.shape, target.fortran, target.data = shape, fortran, data
            return
    raise InputError("expected arrays as numpy writes them, got another state; it was not used")
