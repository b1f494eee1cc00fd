"""KEY=VALUE settings and recipe files as plain data, with one line for whatever is not."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path

from hcflow.errors import ConfigError

__all__ = ["parse_settings", "read_toml"]

_LARGEST = 10**18 - 1  # beyond what anything here counts
_DEEPEST = 20
_LONGEST = 1 << 20  # bytes of a recipe file


def parse_settings(settings: Iterable[str]) -> dict[str, object]:
    """KEY=VALUE as a dictionary; values are JSON, or text where they are not.

    Raises:
        ConfigError: not KEY=VALUE, or a number that is too large.
    """
    changes: dict[str, object] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"expected KEY=VALUE such as patch=96, got {_shortened(setting)!r}")
        changes[key.strip()] = _literal(key.strip(), text)
    return changes


def read_toml(path: Path) -> object:
    """What a TOML file holds.

    Raises:
        ConfigError: it cannot be read, is not TOML, is nested too deeply, or holds a number that is too large.
    """
    try:
        if path.is_file() and path.stat().st_size > _LONGEST:
            raise ConfigError(f"{path}: expected a recipe file of at most {_LONGEST >> 20} MiB, got a larger one")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: expected a recipe file, got: {(error.strerror or str(error)).lower()}") from None
    except RecursionError:
        raise ConfigError(f"{path}: expected at most {_DEEPEST} levels of nesting, got more") from None
    except ConfigError:
        raise
    except ValueError as error:  # TOML, UTF-8, or an integer of more digits than Python reads
        raise ConfigError(f"{path}: expected TOML, got something else ({_shortened(str(error))})") from None
    _check(data, str(path), 0)
    return data


def _literal(key: str, text: str) -> object:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return _shortened(text.strip())
    except RecursionError:
        raise ConfigError(f"{key}: expected a value of at most {_DEEPEST} levels, got more") from None
    except ValueError:  # an integer of more digits than Python reads
        raise ConfigError(f"{key}: expected numbers of at most 18 digits, got one of {len(text)} digits") from None
    _check(value, key, 0)
    return value


def _check(data: object, where: str, depth: int) -> None:
    """Refuse what would be legal JSON or TOML, but no setting."""
    if depth > _DEEPEST:
        raise ConfigError(f"{where}: expected at most {_DEEPEST} levels of nesting, got more")
    if isinstance(data, int) and abs(data) > _LARGEST:
        raise ConfigError(f"{where}: expected numbers of at most 18 digits, got a larger one")
    for item in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        _check(item, where, depth + 1)


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
