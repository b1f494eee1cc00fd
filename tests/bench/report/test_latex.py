import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from bench.records.tables import Image
from bench.report.grid import build_grid
from bench.report.latex import STYLES, render_latex
from bench.report.latex_tabular import escape
from bench.suites.reading import load_suite


def tabulars(text: str) -> list[str]:
    """The tabulars of a document, from the first rule to the last."""
    return re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL)


def widths(tabular: str) -> set[int]:
    """Columns that the lines of a tabular fill."""
    body = tabular[tabular.index(r"\toprule") : tabular.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    return {
        sum(int(match.group(1)) if (match := re.match(r"\s*\\multicolumn\{(\d+)\}", part)) else 1 for part in parts)
        for parts in (re.split(r"(?<!\\)&", line) for line in lines)
    }


def balanced(text: str) -> bool:
    depth = 0
    for token in re.findall(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(token, 0)
        if depth < 0:
            return False
    return depth == 0


@pytest.fixture(params=["table1", "table2", "table3", "table4", "mixed", "hostile"])
def table(request, table_maker, tmp_path):
    name = request.param
    return table_maker(load_suite(name), tmp_path) if name.startswith("table") else request.getfixturevalue(name)


@pytest.mark.parametrize("style", STYLES)
def test_structure(table, style):
    grid = build_grid(table)
    text = render_latex(grid, style)
    for tabular in tabulars(text):
        (width,) = widths(tabular)
        assert f"{{@{{}}p{{68pt}}{'r' * (width - 1)}@" in tabular
        assert width <= 1 + len(grid.heads)
    begun, ended = re.findall(r"\\begin\{(.*?)\}", text), re.findall(r"\\end\{(.*?)\}", text)
    assert sorted(begun) == sorted(ended)
    assert set(begun) == {"minipage", {"full": "table*", "compact": "table"}[style], "tabular"}
    assert text.count(r"\caption") == text.count(r"\label") == 1
    assert balanced("\n".join(line for line in text.splitlines() if not line.startswith("%")))


def test_full_has_every_row_and_every_published_value(table):
    grid, text = build_grid(table), render_latex(build_grid(table))
    for row in grid.rows:
        if row.measured or any(cell.paper for cell in row.cells):
            assert rf"\textbf{{{escape(row.name)}}}" in text
        for cell in row.cells:
            assert cell.paper is None or cell.paper.text in text


def test_values(mixed):
    text = render_latex(build_grid(mixed))
    assert r"28.4400 &" in text
    assert r"28.4200\rlap{$^{\checkmark}$}" in text
    assert r"$\pm$0.0100" in text
    assert r"\textbf{$\infty$}\rlap{$^{\blacktriangle}$}" in text
    assert r"\emph{1/5}" in text
    assert r"28.42\phantom{00}" in text
    assert r"TAD \& TAU" in text
    assert r"Published numbers do not apply to Sample" in text
    assert "0123456789abcdef" in text
    assert "standard error" in text


def test_compact_has_what_was_measured_beside_the_papers_values(mixed):
    text = render_latex(build_grid(mixed), "compact")
    (tabular,) = tabulars(text)
    lines = [line for line in tabular.splitlines() if line.endswith(r"\\")]
    names = [match.group(1) for line in lines if (match := re.search(r"\\textbf\{([A-Z][^}]*)\}", line))]
    assert names == ["Bicubic", "RDN", "EDSR", "IRN", "HCFlow"]
    assert "Set14" not in tabular
    assert "Sample" in tabular
    assert "standard error" not in tabular
    assert "Left out: 8 rows of which nothing was measured." in text


def test_columns_that_are_too_many_stand_below_each_other(table_maker, tmp_path):
    suite = load_suite("table2")
    images = {"images": [Image("a", (28.0,), (28.0,))]}
    plan = {(suite.rows[0].name, "DIV2K", column.id): images for column in suite.columns}
    grid = build_grid(table_maker(suite, tmp_path, plan))
    blocks = tabulars(render_latex(grid, "compact"))
    assert len(blocks) > 1
    assert sum(max(widths(block)) - 1 for block in blocks) == len(grid.heads)
    assert len(tabulars(render_latex(grid))) == 1


def test_special_characters():
    assert escape("a_b & 50 % $ # {x} ~ ^ \\") == (
        r"a\_b \& 50 \% \$ \# \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    assert escape("--fetch\nnow") == r"\mbox{-{}-}fetch now"
    assert escape("é τ 日") == r"é $\tau$ \texttt{U+65E5}"


DOCUMENT = r"""\documentclass[twocolumn,10pt]{article}\usepackage[margin=0.9in]{geometry}
%s\begin{document}Text before.
%s
Text after.\end{document}"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("style", STYLES)
def test_it_compiles_and_fits(table, style, tmp_path, request):
    text = render_latex(build_grid(table), style)
    packages = text.splitlines()[0].removeprefix("% ")
    (tmp_path / "report.tex").write_text(DOCUMENT % (packages, text), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Float too large" not in done.stdout
    overfull = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)]
    hostile = "hostile" in request.node.name  # the name of a data set is never broken
    assert hostile or not [points for points in overfull if points > 1], done.stdout
    assert "Overfull \\vbox" not in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize(("name", "fits"), [("word " * 30, True), ("W" * 120, False)])
def test_a_long_name_is_broken_and_one_that_cannot_be_is_seen(name, fits, table_maker, tmp_path):
    """So that no name leaves its column unnoticed: the check above would see it."""
    suite = load_suite("table4")
    suite = replace(suite, rows=(replace(suite.rows[0], name=name.strip()), *suite.rows[1:]))
    images = {"images": [Image("a", (28.0,), (28.0,))]}
    grid = build_grid(table_maker(suite, tmp_path, {(name.strip(), "Set5", "psnr_y"): images}))
    text = render_latex(grid, "compact")
    (tmp_path / "report.tex").write_text(DOCUMENT % (text.splitlines()[0].removeprefix("% "), text), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    in_table = [float(one) for one in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)]
    assert (max(in_table, default=0.0) <= 1) is fits, done.stdout[-2000:]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_every_escaped_character_compiles(tmp_path):
    characters = escape("".join(map(chr, range(0x20, 0x180))))
    packages = r"\usepackage[T1]{fontenc}\usepackage{textcomp,amssymb}"
    (tmp_path / "report.tex").write_text(DOCUMENT % (packages, characters), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
