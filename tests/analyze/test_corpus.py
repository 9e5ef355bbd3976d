from datetime import UTC, datetime

import pandas as pd
import pytest
from conftest import make_root

from pipeline.analyze.corpus import cause, median_text
from pipeline.analyze.figures import Chart
from pipeline.analyze.results import Gallery, Sentences, TitledFrame
from pipeline.facts import CrawledRepository, Flaw
from pipeline.files import write
from pipeline.importing import import_study, import_threads
from pipeline.openstudy import OpenStudy
from pipeline.selecting import select_sample
from pipeline.store.crawls import put_facts
from pipeline.store.session import Store
from pipeline.study import read_study
from pipeline.terminal import table_csv


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> OpenStudy:
    """The demo, with a sample drawn from its threads, stars of one repository, and a list of flaws."""
    root = make_root(tmp_path_factory.mktemp("drawn") / "root")
    study = read_study(root / "data" / "studies" / "demo.toml")
    store = Store(str(study.database))
    import_threads(store, root / "data" / "demo" / "threads", "demo")
    import_study(store, study)
    with store.writing() as connection:
        when = datetime(2015, 1, 1, tzinfo=UTC)
        put_facts(connection, [CrawledRepository("quillon/keras-heron", "quillon/keras-heron", when, 12, 19)])
    select_sample(store, study, 0.05)
    return OpenStudy(study, store)


def shown(result: object) -> pd.DataFrame:
    assert isinstance(result, TitledFrame), result
    return result.frame


def test_repositories_come_with_the_most_defects_first_and_leave_out_what_is_known_of_none(demo: OpenStudy) -> None:
    table = demo.corpus.repositories
    assert "Stars" not in table.frame
    assert table.note == "Not known to the store of any repository: since, stars, closed issues."
    assert list(table.frame["Defects"]) == sorted(table.frame["Defects"], reverse=True)
    assert table.frame["Defects"].sum() == len(demo.defects)
    assert table.title == "Repositories (8; 168 sampled issues, 152 defects; fictional data)"
    assert set(table.frame["Framework"]) >= {"PyTorch", "Torch (Lua)"}


def test_what_is_known_of_one_repository_only_is_shown_of_that_one(drawn: OpenStudy) -> None:
    stars = shown(drawn.corpus.repositories).set_index("Repository")["Stars"]
    assert stars["quillon/keras-heron"] == 12
    assert (stars.drop("quillon/keras-heron") == "").all()


def test_kinds_share_all_defects_among_them(demo: OpenStudy) -> None:
    table = shown(demo.corpus.kinds)
    for what in ("Kind", "Prototype"):
        assert table.loc[table["What"] == what, "Defects"].sum() == len(demo.defects)
    assert table.iloc[0].tolist()[1:] == ["solo", 5, 105, 95, "62.5 % [54.6, 69.8]"]


def test_the_funnel_leads_from_the_sample_to_the_defects(demo: OpenStudy) -> None:
    rows = shown(demo.corpus.funnel)[["Step", "Issues", "Share of the sample", "Defects"]].to_numpy().tolist()
    assert rows == [
        ["Issues in the sample", 168, "", ""],
        ["verdict: Defect", 136, "81.0 % [74.3, 86.2]", ""],
        ["verdict: No reengineering defect (set aside)", 32, "19.0 % [13.8, 25.7]", ""],
        ["Issues with labelled defects", 136, "81.0 % [74.3, 86.2]", 152],
    ]


def test_the_selection_is_told_step_by_step_with_what_nothing_was_known_of(drawn: OpenStudy) -> None:
    table = drawn.corpus.selection
    steps = shown(table).set_index("Step")
    assert steps["Issues left"].iloc[0] == 168
    assert steps.loc["repository has at least 1000 stars", "Issues left"] == 147
    assert steps.loc["repository has at least 1000 stars", "Nothing known to decide by"] == "147 (kept)"
    drawn_issues = drawn.corpus.sample.query("rule != 'labels'").drop_duplicates(["repository", "number"])
    assert steps.loc["in the sample", "Issues left"] == len(drawn_issues)
    assert isinstance(table, TitledFrame)
    assert table.note == "The stored sample is exactly what this draws."


def test_a_sample_that_was_not_drawn_is_said_to_be_none(demo: OpenStudy) -> None:
    table = demo.corpus.selection
    assert isinstance(table, TitledFrame)
    assert table.note.startswith("This was not drawn into the study's sample")


def test_each_issue_tells_why_it_is_in_the_sample(drawn: OpenStudy) -> None:
    reasons = drawn.corpus.reasons
    assert len(reasons) == len(drawn.corpus.sample)
    assert (reasons["Why it is in the sample"] != "").all()
    random = reasons[reasons["Rule"] == "random"]
    assert random["Why it is in the sample"].str.contains("at random in .*, seed 1$").all()
    assert reasons.iloc[0].tolist() == ["harrowmere/tf-atelier", 6, "labels", "a file of labels names it"]


def test_samples_are_counted_by_rule_stratum_and_seed(drawn: OpenStudy) -> None:
    table = shown(drawn.corpus.samples)
    assert table["Issues"].sum() == len(drawn.corpus.sample)
    assert table.set_index("Rule").loc["random", ["Stratum", "Seed"]].tolist() == ["zoo", "1"]
    assert set(table.loc[table["Rule"] != "random", "Seed"]) == {""}


def test_sample_sizes_are_of_those_that_meet_the_criteria_where_a_sample_was_drawn(drawn: OpenStudy, demo: OpenStudy) -> None:
    table = shown(drawn.corpus.sample_sizes()).set_index("Stratum")
    assert drawn.corpus.drawn is not None
    assert table.loc["all", "Issues that meet the criteria"] == len(drawn.corpus.drawn.kept)
    assert table.loc["all", "Needed for ± 5 points"] < table.loc["all", "Issues that meet the criteria"]
    unbounded = demo.corpus.sample_sizes(0.05)
    assert shown(unbounded).set_index("Stratum").loc["all"].tolist() == [168, 385, "± 7.6"]
    assert "not known here" in unbounded.note


def test_years_are_drawn_without_gaps_and_told_in_words(demo: OpenStudy) -> None:
    years = demo.corpus.years
    assert isinstance(years, Gallery)
    chart, table = years
    assert isinstance(chart, Chart)
    assert [label.get_text() for label in chart.axes[0].get_xticklabels()] == [str(year) for year in range(2016, 2024)]
    assert "The most were opened in 2018 (32)" in chart.description
    assert shown(table)["All"].sum() == 168


def test_closing_times_leave_out_what_is_open(demo: OpenStudy) -> None:
    closing = demo.corpus.closing
    assert isinstance(closing, Gallery)
    chart, table = closing
    assert isinstance(chart, Chart)
    assert shown(table).iloc[0, :4].tolist() == ["All", 151, 17, "15.5 [13.4, 20.2]"]
    assert "Defect (n = 130): half within 16.7 days" in chart.description


def test_texts_are_measured_in_their_parts(demo: OpenStudy) -> None:
    table = shown(demo.corpus.text).set_index("Part of the thread")
    assert table.loc["Title (characters)", "Median"] == "52 [50, 55]"
    assert table.loc["Title (characters)", "Largest"] == f"{demo.issues['title'].str.len().max()}"
    assert (table["Issues without any"] == 0).all()


def test_a_store_without_texts_says_so(published: OpenStudy) -> None:
    corpus = published.corpus
    for missing in (corpus.selection, corpus.text, corpus.closing):
        assert isinstance(missing, Sentences)
        assert "cv-reengineering" in str(missing)
    assert "is closed; has a known fix; has at least 10 comments" in str(corpus.selection)
    assert isinstance(corpus.years, Gallery)


def test_the_corpus_of_the_published_study_is_summed_up(published: OpenStudy) -> None:
    assert published.corpus.conclusion == (
        "The study holds 348 labelled defects of 334 issues in 27 repositories; of the 427 issues sampled, 427 have a verdict, "
        "and 93 of these were set aside as holding none (21.8 % [18.1, 25.9]).",
        "No repository gives more than 51 of the 348 defects (14.7 % [11.3, 18.8]; tensorflow/models). If they were a random "
        "sample, a share of all 348 would be known to within 5.2 points or better.",
        "The issues were opened from 2015 to 2021, half of them by 2018 (n = 427).",
    )


def test_flaws_that_differ_in_names_and_numbers_are_of_one_cause(drawn: OpenStudy) -> None:
    assert "redefect import study --study demo" in str(drawn.corpus.flaws)
    flaws = [
        Flaw("t.csv", "row 2", "'=lua' stands for 'Torch (Lua)'", "read as that"),
        Flaw("t.csv", "row 9", "'TF' stands for 'TensorFlow'", "read as that"),
        Flaw("t.csv", "row 3", "repeats row 2 to the letter", "kept"),
    ]
    rows = [(f.source, f.where, f.what, f.done) for f in flaws]
    write(drawn.study.build / "flaws.csv", table_csv("flaws", ["source", "where", "what", "done"], rows))
    again = OpenStudy(drawn.study, drawn._store).corpus
    assert again.found == flaws
    assert shown(again.flaws).to_numpy().tolist() == [
        ["t.csv", "'…' stands for '…'", "read as that", 2, "row 2: '=lua' stands for 'Torch (Lua)'"],
        ["t.csv", "repeats row … to the letter", "kept", 1, "row 3: repeats row 2 to the letter"],
    ]


@pytest.mark.parametrize(
    ("text", "general"),
    [
        ("the issue's address ends in '#issue-5'", "the issue's address ends in '…'"),
        ("'Prototype' of a/b is both No and Yes", "'…' of … is both No and Yes"),
        ("kappa 0.458 with the sheets' index; n/a in 238", "kappa … with the sheets' index; n/a in …"),
        ("column1 stays", "column1 stays"),
    ],
)
def test_a_cause_is_a_flaw_without_what_is_particular(text: str, general: str) -> None:
    assert cause(text, ["a/b"]) == general


def test_a_median_of_few_has_no_interval() -> None:
    assert median_text(pd.Series([1, 2, 3])) == "2.0"
    assert median_text(pd.Series(range(101)), 0) == "50 [40, 60]"
