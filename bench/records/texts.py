"""The suite that a folder's runs were made with: its text is in their journals, so that the folder can be moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, one_line
from bench.jsons import Json
from bench.records.journal import Journal, load_journals
from bench.records.tables import suite_with_runs
from bench.records.trust import HOW, unsafe_suite
from bench.suites.reading import load_suite, parse_suite, suite_names
from bench.suites.suite import Suite, text_of_csv


@dataclass(frozen=True)
class Known:
    """A suite, and where its text is from.

    Attributes:
        suite: with the rows and columns that runs added to it.
        note: what a reader should be told; empty where the suite is the installed one.
    """

    suite: Suite
    note: str = ""


def texts_of(suite: Suite) -> Json:
    """The texts of a suite, for a journal; of its CSV file only where it has one."""
    path = suite.folder / f"{suite.name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}  # it was not read from a file
    return {"suite": text, **({"published": text_of_csv(suite)} if suite.published else {})}


def suite_in(out: Path, name: str, trust: bool = False) -> Known:
    """The suite of a table in a results folder: the installed one, or the one its newest run recorded if that differs.

    Args:
        out: results folder.
        name: of the table.
        trust: also look up names of the form `module:object` in its journals, which runs code.

    Raises:
        BenchError: it is neither installed nor recorded (the message lists the choices), or what was recorded needs
            trust.
    """
    short = name.removeprefix("table")
    full = f"table{short}" if short.isdigit() else name
    journals = load_journals(out, full)
    texts = _newest_texts(journals)
    installed = load_suite(full) if full in suite_names() or not texts else None
    if installed is not None and (not texts or texts == texts_of(installed)):
        return Known(suite_with_runs(installed, journals, trust))
    how = "is another one" if installed is not None else "is missing"
    note = f"{full}: shown as its newest run in {out} recorded it, since the suite that is installed here {how}"
    return Known(suite_with_runs(recorded(full, texts, trust), journals, trust), note)


def tables_in(out: Path) -> list[str]:
    """The tables of a folder's runs that can be shown: installed ones first, then recorded ones of others."""
    journals = load_journals(out)
    names = {journal.table for journal in journals}
    installed = [name for name in suite_names() if name in names]
    newest = {journal.table: journal for journal in journals}
    return installed + sorted(name for name in names - set(installed) if "suite" in newest[name].texts)


def recorded(name: str, texts: Json, trust: bool = False) -> Suite:
    """A suite of the texts in a journal.

    Raises:
        BenchError: they are no suite of this version, or name a module without `trust`.
    """
    if not trust and (unsafe := unsafe_suite(texts["suite"])):
        raise BenchError(f"the suite {name} that was recorded names {one_line(unsafe)}, and {HOW}")
    try:
        return parse_suite(name, texts["suite"], Path("recorded"), texts.get("published", ""))
    except BenchError as error:
        raise BenchError(f"the suite {name} that was recorded: {error}") from None


def _newest_texts(journals: Sequence[Journal]) -> Json:
    """The suite's texts of the newest journal; empty where an older version wrote it."""
    texts = journals[-1].texts if journals else {}
    return {key: texts[key] for key in ("suite", "published") if key in texts} if "suite" in texts else {}
