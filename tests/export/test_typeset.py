import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import RedefectError
from pipeline.export.typeset import DEBIAN_PACKAGES, first_problem, typeset

PDF = rb"\pdfvariable suppressoptionalinfo 1023 "


@pytest.fixture(scope="module", autouse=True)
def _latex() -> None:
    if not all(map(shutil.which, ("latexmk", "lualatex"))):
        pytest.skip(f"LaTeX is not installed (on Debian: {' '.join(DEBIAN_PACKAGES)})")


def _article(body: bytes) -> dict[str, bytes]:
    return {"article.tex": PDF + rb"\documentclass{article}\begin{document}" + body + rb"\end{document}"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (rb"\nosuchcommand", "./article.tex:1: Undefined control sequence."),
        (rb"See \ref{nowhere}.", "Reference `nowhere' on page 1 undefined on input line 1."),
        (rb"\noindent\rule{20cm}{1pt}\par", r"Overfull \hbox (224.05511pt too wide) in paragraph at lines 1--1"),
        (b"A \xe6\xbc\xa2 here.", "Missing character: There is no \N{CJK UNIFIED IDEOGRAPH-6F22} (U+6F22) in font"),
    ],
)
def test_what_the_log_complains_of_is_the_error(body: bytes, said: str) -> None:
    with pytest.raises(RedefectError) as raised:
        typeset(_article(body))
    assert said in str(raised.value)


def test_an_article_reads_nothing_outside_its_folder(tmp_path: Path) -> None:
    secret = tmp_path / "secret.tex"
    secret.write_text("Secret.")
    with pytest.raises(RedefectError, match=r"File `.*secret\.tex' not found\.$"):
        typeset(_article(rb"\input{" + os.fsencode(secret) + b"}"))


def test_an_article_starts_no_program(tmp_path: Path) -> None:
    typeset(_article(rb"\immediate\write18{touch " + os.fsencode(tmp_path / "made") + rb"}Text."))
    assert list(tmp_path.iterdir()) == []


def test_the_same_files_give_the_same_bytes_whatever_is_around_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _article(rb"\section{One}\label{one} \ref{one} \cite{a}\bibliographystyle{plain}\bibliography{a}")
    files["a.bib"] = b"@misc{a, author={A}, title={T}}"
    first = typeset(files)
    elsewhere = {"TMPDIR": "a folder", "TEXMFCACHE": "cache", "TEXMFVAR": "cache", "HOME": "home"}
    for name, folder in elsewhere.items():
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.setenv(name, str(tmp_path / folder))
    for name, value in {"TZ": "Pacific/Chatham", "LC_ALL": "tr_TR.UTF-8", "SOURCE_DATE_EPOCH": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", None)  # else it would remember its folder
    assert typeset(files) == first
    assert list((tmp_path / "a folder").iterdir()) == []
    assert list((tmp_path / "cache").iterdir()) != []


def test_without_latex_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RedefectError, match=r"latexmk is missing.*apt-get install .*texlive-luatex"):
        typeset(_article(b"Text."))


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        ("Overfull \\hbox (0.9pt too wide) in paragraph at lines 1--2\n", None),
        ("Underfull \\hbox (badness 10000) in paragraph\nPackage hyperref Warning: Token not allowed in a PDF string\n", None),
        ("LaTeX Warning: There were undefined references.\n", None),
        (
            "(./a.tex (./b/c.tex\nOverfull \\vbox (9pt too high)\n",
            "Overfull \\vbox (9pt too high) (the file read last is b/c.tex)",
        ),
        ("! LaTeX Error: File `siunitx.sty' not found.\n", "! LaTeX Error: File `siunitx.sty' not found."),
        ("LaTeX Warning: Label `a' multiply defined.\n", "LaTeX Warning: Label `a' multiply defined."),
        (
            "Package natbib Warning: Citation `a' on page 1 undefined on input line 3.\n",
            "Package natbib Warning: Citation `a' on page 1 undefined on input line 3.",
        ),
    ],
)  # fmt: skip
def test_the_first_problem_of_a_log_is_found(log: str, problem: str | None) -> None:
    assert first_problem(log) == problem
