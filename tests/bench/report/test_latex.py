import re
import shutil
import subprocess

import pytest

from bench.report.latex import escape, render_latex
from bench.suites.suite import load_suite

PREAMBLE = r"\documentclass{article}\usepackage[margin=1cm]{geometry}"


def widths(text: str) -> list[int]:
    """Columns that each line of the tabular fills."""
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    return [
        sum(int(match.group(1)) if (match := re.match(r"\s*\\multicolumn\{(\d+)\}", part)) else 1 for part in parts)
        for parts in (re.split(r"(?<!\\)&", line) for line in lines)
    ]


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


def test_structure(table):
    text = render_latex(table)
    assert set(widths(text)) == {2 + len(table.suite.describe) + len(table.datasets) * len(table.suite.columns)}
    begun, ended = re.findall(r"\\begin\{(.*?)\}", text), re.findall(r"\\end\{(.*?)\}", text)
    assert sorted(begun) == sorted(ended) == ["minipage", "table*", "tabular"]
    for rule in (r"\toprule", r"\bottomrule", r"\caption", r"\label"):
        assert text.count(rule) == 1
    assert balanced("\n".join(line for line in text.splitlines() if not line.startswith("%")))


def test_values(mixed):
    text = render_latex(mixed)
    assert r"28.4400 &" in text
    assert r"28.4200\rlap{$^{\checkmark}$}" in text
    assert r"$\pm$0.0100" in text
    assert r"$\infty$\rlap{$^{\blacktriangle}$}" in text
    assert r"\emph{1 of 5 images}" in text
    assert r"28.42\phantom{00}" in text
    assert r"TAD \& TAU" in text
    assert r"Published numbers do not apply to Sample" in text
    assert "0123456789abcdef" in text


def test_special_characters():
    assert escape("a_b & 50 % $ # {x} ~ ^ \\") == (
        r"a\_b \& 50 \% \$ \# \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    assert escape("--fetch\nnow") == r"\mbox{-{}-}fetch now"
    assert escape("é τ 日") == r"é $\tau$ \texttt{U+65E5}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_it_compiles(table, tmp_path):
    text = render_latex(table)
    packages = text.splitlines()[0].removeprefix("% ")
    extra = escape("".join(map(chr, range(0x20, 0x180))))
    document = f"{PREAMBLE}{packages}\\begin{{document}}{extra}\n{text}\\end{{document}}"
    (tmp_path / "report.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
