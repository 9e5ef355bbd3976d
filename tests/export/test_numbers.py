import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.errors import RedefectError
from pipeline.export.numbers import Number, check_papers, macro_name, missing, numbers, to_json, to_latex, unique
from pipeline.export_commands import export_numbers
from pipeline.openstudy import OpenStudy
from pipeline.taxonomy import Taxonomy


@pytest.fixture(scope="module")
def found(demo: OpenStudy) -> dict[str, Number]:
    return {number.key: number for number in numbers(demo)}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("stage.training.share", "StageTrainingShare"),
        ("figure-05", "FigureZeroFive"),
        ("agreement.round 2.gpu-usage-bug.cohen", "AgreementRoundTwoGpuUsageBugCohen"),
        ("naïve.Ångström", "NaiveAngstrom"),
        ("第2", "USevenBTwoCTwo"),
        ("a_b%c\\d{}", "ABCD"),
    ],
)
def test_a_macro_is_called_by_the_words_of_its_key_with_digits_spelled_out(key: str, name: str) -> None:
    assert macro_name(key) == name


@given(st.text())
def test_any_name_of_a_category_or_round_gives_letters_that_latex_takes(key: str) -> None:
    assert re.fullmatch("([A-Z][A-Za-z]*)?", macro_name(key))
    assert macro_name(key) or not any(c.isalnum() for c in key)


def test_two_numbers_of_one_name_and_one_of_none_are_named() -> None:
    with pytest.raises(
        RedefectError, match=r"^Numbers 'stage\.a-b\.n' and 'stage\.a\.b\.n' would both be \\StageABN in LaTeX; rename"
    ):
        unique([Number("stage.a-b.n", "1", 1, ""), Number("stage.a.b.n", "2", 2, "")])
    with pytest.raises(RedefectError, match=r"would both be \\StageInterval"):
        unique([Number("stage", "1", 1, "", interval="[0, 2]"), Number("stage.interval", "2", 2, "")])
    with pytest.raises(RedefectError, match=r"Number '\.\.' has no letter"):
        unique([Number("..", "1", 1, "")])


def test_a_share_comes_with_its_interval_and_what_it_is_a_share_of(found: dict[str, Number], demo: OpenStudy) -> None:
    share = found["stage.training.share"]
    (row,) = [row for row in demo.distribution("stage").frame.itertuples() if row.category == "training"]
    assert (share.value, share.low, share.high, share.n) == (row.share, row.low, row.high, 152)
    assert share.macros == {"StageTrainingShare": "25.0 %", "StageTrainingShareInterval": "[18.8, 32.4]"}
    assert share.meaning == "Stage: Training: share of defects"
    assert (found["stage.training.n"].text, found["stage.n"].text, found["stage.missing"].text) == ("38", "152", "0")


def test_tests_of_independence_and_the_cells_of_their_tables_can_be_quoted(found: dict[str, Number], demo: OpenStudy) -> None:
    table = demo.crosstab("stage", "symptom")
    test = table.independence
    key = "symptom-by-stage"
    assert found[f"{key}.chi-square"].text == f"{test.chi2:.1f}"
    assert (found[f"{key}.freedom"].value, found[f"{key}.n"].value) == (test.freedom, table.n)
    assert found[f"{key}.p"].text == (f"= {test.p:.3f}" if test.p >= 0.001 else "< 0.001")
    assert found[f"{key}.v"].interval == f"[{test.v_low:.2f}, {test.v_high:.2f}]"
    cell = found[f"{key}.training.crash.n"]
    assert (cell.value, cell.n) == (table.counts.loc["training", "crash"], table.counts.loc["training"].sum())
    assert cell.meaning == "Symptom by stage: Crash among Training: defects"


def test_findings_agreement_challenges_and_versions_can_be_quoted(found: dict[str, Number], demo: OpenStudy) -> None:
    findings = demo.findings().set_index("id")
    for id_, row in findings[findings["verdict"] != "no data"].iterrows():
        assert found[f"finding.{id_}.reproduced"].text.replace(" %", "%") == row["reproduced"]
    kappas = demo.agreement()
    (kappa,) = kappas[
        (kappas["matched"] == "best assignment") & (kappas["facet"] == "pooled") & (kappas["coefficient"] == "cohen")
    ].to_dict("records")
    quoted = found[f"agreement.{kappa['round']}.pooled.cohen"]
    assert (quoted.value, quoted.low, quoted.high, quoted.n) == tuple(kappa[c] for c in ("value", "low", "high", "n"))
    summary = demo.interviews.summary().frame.set_index("Challenge")  # type: ignore[union-attr]
    row = summary[summary.index.str.startswith("Model operationalization")].iloc[0]
    for unit in ("participants", "interviews", "defects"):
        number = found[f"challenge.model-operationalization.{unit}"]
        assert row[unit.capitalize()] == f"{number.value} of {number.n}"
    assert found["corpus.date-of-data"].text == demo.date_of_data
    assert found["version.redefect"].text == pipeline.__version__
    assert demo.study.digest.startswith(found["version.study-file"].text)


def test_the_published_studys_kappas_stand_beside_those_of_the_labels_alone(published: OpenStudy) -> None:
    found = {number.key: number for number in numbers(published)}
    assert found["finding.kappa-final.published"].text == "0.699"
    assert found["finding.kappa-final.reproduced"].macros["FindingKappaFinalReproducedInterval"] == "[0.656, 0.741]"
    assert found["finding.kappa-final-labels.reproduced"].text == "0.626"
    assert found["finding.re-users.published"].value == 0.58
    assert (found["corpus.defects"].text, found["corpus.labels"].text) == ("348", "3,907")


def test_json_holds_the_same_numbers_to_six_places(found: dict[str, Number]) -> None:
    told = json.loads(to_json("demo", found.values()))
    assert told["study"] == "demo"
    assert [(n["key"], n["name"], n["text"], n["interval"]) for n in told["numbers"]] == [
        (n.key, n.name, n.text, n.interval) for n in found.values()
    ]
    (share,) = [n for n in told["numbers"] if n["key"] == "symptom.crash.share"]
    assert share["value"] == round(found["symptom.crash.share"].value, 6)  # type: ignore[arg-type]


PAPER = r"""
\documentclass{article}%s
\usepackage[papersize={60cm,30cm},margin=2cm]{geometry}
\usepackage{hyperref}
\input{numbers}
\pagestyle{empty}
\begin{document}
\section{Of \CorpusDefects defects, \StageTrainingShare in training}
%s
\bigskip
Now \StageTrainingShare of them, \StageTrainingShareInterval, and \StageTrainingShare{} more; (\StageTrainingShare).
The test says $p \SymptomByStageP$, p \SymptomByStageP, and $s = \StageTrainingShare$ here.
\end{document}
"""


def squeezed(text: str) -> str:
    """Return a text without spaces, and with signs as one types them."""
    return re.sub(r"\s", "", text.replace("\N{MINUS SIGN}", "-"))


@pytest.mark.parametrize(("program", "fonts"), [("pdflatex", ""), ("lualatex", r"\usepackage{fontspec}")])
def test_latex_prints_each_number_as_json_holds_it(found: dict[str, Number], program: str, fonts: str, tmp_path: Path) -> None:
    if not shutil.which(program) or not shutil.which("pdftotext"):
        pytest.skip(f"{program} or poppler is not installed")
    odd = [Number("odd.minus", "-0.12", -0.12, "50 % of\nall", "", 1234, -0.2, 0.1, "[-0.20, 0.10]")]
    odd += [Number("odd.text", "a & b #1", "a & b #1", "a text"), Number("odd.thousands", "1,234,567", 1234567, "many")]
    listed = [*found.values(), *odd]
    (tmp_path / "numbers.tex").write_bytes(to_latex("demo", listed))
    macros = {name: text for number in listed for name, text in number.macros.items()}
    lines = "\n".join(f"\\noindent {name}: \\{name}; ${{\\{name}}}$.\\par" for name in macros)
    (tmp_path / "paper.tex").write_text(PAPER % (fonts, lines), encoding="utf-8")
    run = subprocess.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:]
    printed = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "paper.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    assert "Overfull" not in run.stdout
    lines_of = {line.split(":")[0].strip(): line.split(":", 1)[1] for line in printed.splitlines() if ":" in line}
    for name, text in macros.items():
        assert squeezed(lines_of[name]) == squeezed(f"{text};{text}."), name
    flat = " ".join(printed.split())
    assert "Of 152 defects, 25.0" in flat
    assert re.search(r"Now 25\.0 ?% of them, \[18\.8, 32\.4\], and 25\.0 ?% more; \(25\.0 ?%\)\.", flat)
    assert len(re.findall(r"p < 0\.001,", flat)) == 2


def test_a_papers_macros_that_are_no_number_any_more_are_named_with_their_line(taxonomy: Taxonomy) -> None:
    paper = r"""\newcommand{\StageMine}{1} \def\StageOther{2} \StageMine \StageOther
Of \StageTrainingShare, % \StageGone
\StageTrainngShare{} and \SymptomByStageGone \\ \Stage \Corpusculum \FindingOldN 50\% \AgreementX"""
    there = ["StageTrainingShare"]
    assert missing(paper, there, taxonomy) == [
        (3, "StageTrainngShare"), (3, "SymptomByStageGone"), (3, "FindingOldN"), (3, "AgreementX"),
    ]  # fmt: skip


@given(st.text(alphabet=st.sampled_from("\\{}%$StageN &\n")))
def test_any_text_can_be_checked(taxonomy: Taxonomy, text: str) -> None:
    assert all(name.startswith("Stage") for _, name in missing(text, [], taxonomy))


def test_a_check_tells_how_many_numbers_a_paper_uses_or_which_are_lost(
    found: dict[str, Number], demo: OpenStudy, tmp_path: Path
) -> None:
    paper = tmp_path / "paper.tex"
    paper.write_text(r"\StageN, \StageN and \StageTrainingShareInterval", encoding="utf-8")
    assert check_papers([paper], found.values(), demo) == [f"{paper}: it uses 2 numbers, and all are there."]
    paper.write_text("\n\\StageTrainingShares", encoding="utf-8")
    sentence = r"paper\.tex, line 2: \\StageTrainingShares is no number of study 'demo'; the nearest is \\StageTrainingShare\.$"
    with pytest.raises(RedefectError, match=sentence):
        check_papers([paper], found.values(), demo)
    with pytest.raises(RedefectError, match="no-paper.tex: there is no such file"):
        check_papers([tmp_path / "no-paper.tex"], found.values(), demo)


def test_the_command_writes_both_files_into_a_folder(demo: OpenStudy, tmp_path: Path) -> None:
    export_numbers(study=str(demo.study.path), database=str(demo.study.database), folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["SHA256SUMS", "numbers.json", "numbers.tex"]
    assert rb"\newcommand*{\StageTrainingShare}{25.0\,\%\xspace}" in (tmp_path / "numbers.tex").read_bytes()


def test_the_command_fails_for_a_paper_that_uses_a_lost_number(redefect: Run, root: Path, demo: OpenStudy) -> None:
    (root / "paper.tex").write_text(r"\StageOldN", encoding="utf-8")
    lost = redefect("export", "numbers", "--check", "paper.tex", "--database", demo.study.database, expect=1)
    assert r"paper.tex, line 1: \StageOldN is no number of study 'demo'" in lost.stderr
    assert not (root / "data/build/demo/numbers").exists()
