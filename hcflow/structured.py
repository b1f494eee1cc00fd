"""Frozen dataclasses of JSON or TOML data, with errors that name the key."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from functools import lru_cache
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from hcflow.errors import ConfigError

__all__ = ["build", "suggestion"]

T = TypeVar("T")


def build(cls: type[T], data: object, where: str) -> T:
    """Make a dataclass of JSON or TOML data, checking every key and value against its annotations.

    Args:
        cls: a dataclass whose fields are bool, int, float, str, None, Literal, tuples or dicts of these,
            or dataclasses.
        data: what `json.loads` or `tomllib.loads` gave.
        where: what messages call it.

    Raises:
        ConfigError: an unknown or missing key (the message lists the choices) or a wrong value.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: expected an object, got {type(data).__name__}")
    hints = _hints(cls)  # type: ignore[arg-type]
    for key in data:
        if key not in hints:
            raise ConfigError(f"{where}: unknown key {key!r}; {suggestion(key, hints)}choose from {', '.join(hints)}")
    required = [field.name for field in dataclasses.fields(cls) if _is_required(field)]  # type: ignore[arg-type]
    missing = [repr(key) for key in required if key not in data]
    if missing:
        keys, are = ("key", "is") if len(missing) == 1 else ("keys", "are")
        raise ConfigError(f"{where}: expected the {keys} {', '.join(missing)}, which {are} missing")
    return cls(**{key: _value(hints[key], value, f"{where}.{key}") for key, value in data.items()})


@lru_cache(maxsize=64)
def _hints(cls: type) -> dict[str, Any]:
    """Evaluated once: a data set has thousands of entries."""
    return get_type_hints(cls)


def suggestion(word: str, choices: Iterable[str]) -> str:
    """Give "did you mean X? ", where a choice looks like the word, else nothing."""
    near = difflib.get_close_matches(word, list(choices), 1)
    return f"did you mean {near[0]}? " if near else ""


def _value(hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - annotations are objects
    """Check one JSON value against the annotation of its field."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, where)
    if isinstance(value, dict) and get_origin(hint) is UnionType:  # a dataclass or a table, or nothing
        return _value(next(kind for kind in get_args(hint) if kind is not type(None)), value, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{where}: got {value!r}; choose from {', '.join(get_args(hint))}")
        return value
    if get_origin(hint) is tuple:
        args = get_args(hint)
        if args[-1] is Ellipsis:
            if not isinstance(value, list):
                raise ConfigError(f"{where}: expected a list, got {value!r}")
            return tuple(_value(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if not isinstance(value, list) or len(value) != len(args):
            raise ConfigError(f"{where}: expected a list of {len(args)} integers, got {value!r}")
        return tuple(_value(arg, item, where) for arg, item in zip(args, value, strict=True))
    if get_origin(hint) is dict:
        return _table(hint, value, where)
    kinds = get_args(hint) or (hint,)
    if float in kinds and int not in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not any(type(value) is kind for kind in kinds):
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise ConfigError(f"{where}: expected {names}, got {value!r}")
    return value


def _table(hint: Any, value: object, where: str) -> dict[str, object]:  # noqa: ANN401 - annotations are objects
    """A table of any keys, whose values have one type."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigError(f"{where}: expected a table, got {value!r}")
    return {key: _value(get_args(hint)[1], item, f"{where}.{key}") for key, item in value.items()}


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
