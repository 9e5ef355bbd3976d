import pandas as pd

from pipeline.facts import IssueReference
from pipeline.openstudy import OpenStudy
from pipeline.store import read, write
from pipeline.store.session import Store
from pipeline.study import Verdict
from pipeline.taxonomy import Taxonomy


def test_the_frame_of_defects_is_tidy(demo: OpenStudy, taxonomy: Taxonomy) -> None:
    frame = demo.defects
    assert list(frame.columns[:13]) == ["repository", "number", "defect", *(facet.id for facet in taxonomy.defect_facets)]
    assert not frame.duplicated(["repository", "number", "defect"]).any()
    assert frame["stage"].cat.categories.tolist() == taxonomy.facet("stage").ids
    assert str(frame["created_at"].dtype) == "datetime64[us, UTC]"
    assert frame["url"].iloc[0] == f"https://github.com/{frame['repository'].iloc[0]}/issues/{frame['number'].iloc[0]}"
    assert set(frame["kind"]) == {"solo", "zoo"}


def test_rows_are_sorted_as_people_sort_names(demo: OpenStudy) -> None:
    keys = [(r.repository.casefold(), r.number, r.defect) for r in demo.defects.itertuples()]
    assert keys == sorted(keys)


def test_only_the_verdict_s_labels_count(demo: OpenStudy) -> None:
    of_annotator = demo.labels[(demo.labels["annotator"] == "demo-a") & (demo.labels["facet"] == "stage")]
    merged = demo.defects.merge(of_annotator, on=["repository", "number", "defect"])
    assert (merged["stage"].astype(str) != merged["category"]).any()


def test_a_study_without_data_has_empty_frames_with_all_columns(store: Store, demo: OpenStudy) -> None:
    with store.reading() as connection:
        empty = read.defects(connection, "demo", demo.taxonomy, demo.study.verdict)
        assert list(read.threads(connection)) == []
        assert read.people(connection) == []
    assert empty.empty
    assert list(empty.columns) == list(demo.defects.columns)


def test_issues_carry_what_is_answered_once_an_issue(demo: OpenStudy) -> None:
    assert demo.issues["gate"].value_counts().to_dict() == {"defect": 136, "no-defect": 32}
    set_aside = demo.issues[demo.issues["gate"] == "no-defect"]
    assert pd.merge(set_aside, demo.defects, on=["repository", "number"]).empty


def test_an_issue_that_is_in_a_study_by_several_rules_is_one_row(store: Store, taxonomy: Taxonomy) -> None:
    issue, other = IssueReference("a/b", 1), IssueReference("a/b", 2)
    rows = [write.SampleRow(issue, "random", "zoo", 7), write.SampleRow(issue, "labels", "zoo", None)]
    with store.writing() as connection:
        write.put_sample(connection, "study", [*rows, write.SampleRow(other, "random", "zoo", 7)], "s", ["labels", "random"])
        frame = read.issues(connection, "study", taxonomy, Verdict(annotator="me", round="final"))
    assert frame[["number", "rule", "stratum"]].values.tolist() == [[1, "labels; random", "zoo"], [2, "random", "zoo"]]
    assert frame["gate"].isna().all()


def test_people_come_in_the_order_in_which_they_first_write(demo: OpenStudy) -> None:
    with demo._store.reading() as connection:
        people = read.people(connection, ["quillon/KERAS-heron"])
        threads = list(read.threads(connection, ["quillon/keras-heron"]))
    wanted = dict.fromkeys(
        login.casefold() for t in threads for login in (t.author, *(c.author for c in t.comments or ())) if login is not None
    )
    assert [login.casefold() for login in people] == list(wanted)
