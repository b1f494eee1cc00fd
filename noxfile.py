"""Sessions: `nox -l` lists them, `nox -s NAME -- ARGUMENTS` runs one.

All sessions that need the harness share one environment, .nox/harness, because torch is gigabytes. Whichever runs first
installs it (with uv where it is there, else with pip); it is installed again only when the Python, pyproject.toml,
constraints.txt or overrides.txt change.
To use it by hand: source .nox/harness/bin/activate
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import nox
import nox.command

nox.options.sessions = ["lint", "types", "tests"]

ROOT = Path(__file__).parent
INPUTS = ("pyproject.toml", "constraints.txt", "overrides.txt")
ENVIRONMENT = ROOT / ".nox" / "harness"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def harness(session: nox.Session) -> str:
    """The Python of the shared environment, which is made or brought up to date first."""
    if sys.version_info < (3, 11):
        session.error(f"expected Python 3.11 or newer, got {sys.version.split()[0]}; install nox with a newer one")
    inputs = [sys.version.encode(), *((ROOT / name).read_bytes() for name in INPUTS)]
    wanted = hashlib.sha256(b"\0".join(inputs)).hexdigest()
    stamp = ENVIRONMENT / "installed"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        session.log("installing the harness into .nox/harness (torch is large: half a minute to a few minutes, once)")
        session.run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT), external=True)
        if not install_with_uv(session):
            install_with_pip(session)
        stamp.write_text(wanted)
    return str(PYTHON)


def run(session: nox.Session, *arguments: str) -> None:
    """Run the shared environment's Python; it keeps compiled modules even where the surroundings say not to.

    Compiling torch anew takes every process five seconds, and the tests start hundreds.
    """
    session.run(harness(session), *arguments, external=True, env={"PYTHONDONTWRITEBYTECODE": ""})


def install_with_uv(session: nox.Session) -> bool:
    """Install with uv, which is faster; False where it is missing or cannot (pip may know another proxy or index)."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if uv is None:
        session.log("uv is not installed: using pip, which takes longer (pip install uv)")
        return False
    command = (uv, "pip", "install", "--quiet", "--no-progress", "--python", str(PYTHON))
    files = ("--constraint", "constraints.txt", "--override", "overrides.txt")
    try:
        session.run(*command, *files, "--editable", ".[dev]", external=True)
    except nox.command.CommandFailed:
        session.log("uv could not install the harness: using pip, which takes longer")
        return False
    return True


def install_with_pip(session: nox.Session) -> None:
    """Install with pip, which knows no overrides: the second OpenCV is removed, and what it overwrote put back."""
    pip = (str(PYTHON), "-m", "pip")
    install = (*pip, "install", "--quiet", "--disable-pip-version-check", "--progress-bar", "off")
    session.run(*install, "--constraint", "constraints.txt", "--editable", ".[dev]", external=True)
    session.run(*pip, "uninstall", "--quiet", "--yes", "opencv-python", external=True)
    headless = ("--force-reinstall", "--no-deps", "--constraint", "constraints.txt", "opencv-python-headless")
    session.run(*install, *headless, external=True)


def reproduce(session: nox.Session, number: int) -> None:
    """Measure one table; arguments go to `python -m bench run`."""
    run(session, "-m", "bench", "run", "--table", str(number), *session.posargs)


@nox.session(python=False)
def reproduce_table1(session: nox.Session) -> None:
    """Table 1, the ablation (x4, DIV2K validation)."""
    reproduce(session, 1)


@nox.session(python=False)
def reproduce_table2(session: nox.Session) -> None:
    """Table 2, general images (x4, DIV2K validation)."""
    reproduce(session, 2)


@nox.session(python=False)
def reproduce_table3(session: nox.Session) -> None:
    """Table 3, faces (x8, CelebA)."""
    reproduce(session, 3)


@nox.session(python=False)
def reproduce_table4(session: nox.Session) -> None:
    """Table 4, super-resolution and rescaling (x4, five data sets). `-- --fetch` downloads what is missing."""
    reproduce(session, 4)


@nox.session(python=False)
def reports(session: nox.Session) -> None:
    """Write every table that has records as HTML, markdown, LaTeX and JSON."""
    run(session, "-m", "bench", "report", *session.posargs)


@nox.session(python=False)
def ui(session: nox.Session) -> None:
    """Browse the runs in MLflow's own pages, on http://127.0.0.1:5000."""
    store = f"sqlite:///{ROOT / 'results' / 'mlflow.db'}"
    run(session, "-m", "mlflow", "ui", "--backend-store-uri", store, *session.posargs)


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """The tests; `-- -m slow` runs those that need minutes or the real data sets."""
    workers = ("-n", "auto", "--maxprocesses", "8", "--dist", "loadfile")  # a process for each core
    run(session, "-m", "pytest", *workers, *session.posargs)


@nox.session(python=False)
def types(session: nox.Session) -> None:
    """The type checker."""
    run(session, "-m", "mypy")


@nox.session
def lint(session: nox.Session) -> None:
    """Style and common mistakes; in an environment of its own, which is small."""
    session.install("--constraint", "constraints.txt", "ruff")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
