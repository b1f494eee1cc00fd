"""Methods and metrics by name: this project's files, then entry points of installed packages, then `module:object`.

A file `bench/methods/NAME.py` that defines METHOD, or `bench/metrics/NAME.py` that defines METRIC, is all it takes.
"""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module, metadata
from types import ModuleType
from typing import Generic, TypeVar

from bench.errors import BenchError

T = TypeVar("T")


@dataclass(frozen=True)
class Registry(Generic[T]):
    """What can be found by name.

    Attributes:
        kind: what messages call it, such as "metric".
        package: where this project's own files are.
        attribute: what each of them defines.
        group: of the entry points of other packages.
        type: what is registered.
    """

    kind: str
    package: str
    attribute: str
    group: str
    type: type[T]

    def names(self) -> list[str]:
        """All names; this imports every file."""
        files = [name for name in self._files() if hasattr(self._module(name), self.attribute)]
        return sorted({*files, *(point.name for point in self._points())})

    def knows(self, name: str) -> bool:
        """Whether there is a file or an entry point of that name, or it is `module:object`; nothing is imported."""
        return name in self._files() or ":" in name or any(point.name == name for point in self._points())

    def find(self, name: str) -> T:
        """What has that name.

        Raises:
            BenchError: there is nothing of that name (the message lists the choices), two packages offer it, or what
                it names is of another kind.
        """
        return self._checked(name, self._look_up(name))

    def _look_up(self, name: str) -> object:
        if name in self._files() and (found := getattr(self._module(name), self.attribute, None)) is not None:
            self._refuse_second(name)
            return found
        points = [point for point in self._points() if point.name == name]
        if len(points) > 1:
            self._refuse_second(name, points)
        if points:
            return points[0].load()
        module, colon, attribute = name.partition(":")
        if colon and all(part.isidentifier() for part in [*module.split("."), attribute]):
            return self._attribute(name, module, attribute)
        raise unknown(self.kind, name, self.names())

    def _attribute(self, name: str, module: str, attribute: str) -> object:
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise BenchError(f"{self.kind} {name}: expected MODULE:OBJECT that can be imported ({error})") from None

    def _refuse_second(self, name: str, points: Iterable[metadata.EntryPoint] = ()) -> None:
        others = list(points) or [point for point in self._points() if point.name == name]
        if others:
            where = ", ".join(point.value for point in others)
            raise BenchError(f"{self.kind} {name}: expected one of that name, got several ({where}); rename one")

    def _checked(self, name: str, found: object) -> T:
        if not isinstance(found, self.type):
            raise BenchError(f"{self.kind} {name}: expected a {self.type.__name__}, got {type(found).__name__}")
        return found

    def _files(self) -> list[str]:
        return [module.name for module in pkgutil.iter_modules(import_module(self.package).__path__)]

    def _module(self, name: str) -> ModuleType:
        return import_module(f"{self.package}.{name}")

    def _points(self) -> tuple[metadata.EntryPoint, ...]:
        return tuple(metadata.entry_points(group=self.group))


def unknown(kind: str, got: str, choices: Iterable[str], where: str = "") -> BenchError:
    """The error for a name that does not exist: it lists those that do, and guesses which one was meant."""
    choices = list(choices)
    folded = {choice.casefold(): choice for choice in choices}
    near = difflib.get_close_matches(got.casefold(), folded, n=1)
    hint = f"; did you mean {folded[near[0]]}?" if near else ""
    return BenchError(f"expected a {kind}{where} of {', '.join(choices)}; got {got!r}{hint}")
