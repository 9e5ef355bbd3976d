"""The demo corpus is what it says: fiction, written thread by thread, with all categories and honest disagreement."""

import re
from collections import defaultdict

import pandas as pd
from conftest import CHECKOUT

from pipeline.collect.json_lines import read_json_lines
from pipeline.openstudy import OpenStudy
from pipeline.thread import Thread


def threads() -> list[Thread]:
    return [t for path in sorted((CHECKOUT / "data" / "demo" / "threads").glob("*.jsonl")) for t in read_json_lines(path)]


def test_there_are_enough_threads_in_enough_solo_and_zoo_repositories(demo: OpenStudy) -> None:
    assert len(threads()) >= 150
    kinds = demo.issues.drop_duplicates("repository")["kind"].value_counts()
    assert kinds.sum() >= 6
    assert set(kinds.index) == {"solo", "zoo"}


def test_no_two_threads_share_a_sentence_of_more_than_eight_words() -> None:
    seen: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for thread in threads():
        for text in (thread.title, thread.body or "", *(comment.body for comment in thread.comments or ())):
            for sentence in re.split(r"\n|(?<=[.!?])\s+", text):
                words = re.findall(r"\w+", sentence.lower())
                if len(words) > 8:
                    seen[" ".join(words)].add((thread.repository, thread.number))
    assert len(seen) > 2000
    assert {sentence: where for sentence, where in seen.items() if len(where) > 1} == {}


def test_every_category_that_an_annotator_can_give_occurs(demo: OpenStudy) -> None:
    for facet in demo.taxonomy.defect_facets:
        wanted = {category.id for category in facet.values if not category.published_only}
        assert wanted - set(demo.defects[facet.id]) == set(), facet.id
    assert set(demo.issues["gate"]) == {"defect", "no-defect"}


def test_annotators_disagree_in_places_and_the_third_round_decides(demo: OpenStudy) -> None:
    labels = demo.labels[demo.labels["defect"] > 0]
    wide = labels.pivot(index=["repository", "number", "defect", "facet"], columns="annotator", values="category").dropna()
    differing = (wide["demo-a"] != wide["demo-b"]).mean()
    assert 0.02 < differing < 0.3
    assert (wide["demo-adjudicated"] == wide["demo-a"]).mean() > 0.85
    assert {"independent", "adjudicated"} == set(labels["round"])


def test_some_issues_hold_several_defects_and_some_are_still_open(demo: OpenStudy) -> None:
    assert (demo.defects["defect"] > 1).sum() >= 10
    assert set(demo.issues["state"]) == {"open", "closed"}
    assert pd.Series([len(t.comments or ()) for t in threads()]).between(1, 12).all()


def test_it_names_no_real_address_and_says_that_it_is_fiction() -> None:
    text = "".join(thread.to_json() for thread in threads())
    hosts = {host.lower() for host in re.findall(r"https?://([^/\s\"'\\)>]+)", text)}
    assert all(re.fullmatch(r"(.*\.)?example\.(org|com)|localhost(:\d+)?|127\.0\.0\.1(:\d+)?", host) for host in hosts), hosts
    assert "fiction" in (CHECKOUT / "data" / "demo" / "README.md").read_text().lower()
    assert "(fictional)" in (CHECKOUT / "data" / "studies" / "demo.toml").read_text()
