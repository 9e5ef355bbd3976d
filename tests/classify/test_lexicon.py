import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_thread import THREADS

from pipeline.classify.lexicon import Hit, LexicalModel, Lexicon, Rule, read_lexicon
from pipeline.classify.text import read_document
from pipeline.errors import RedefectError
from pipeline.taxonomy import read_taxonomy
from pipeline.thread import Comment, Thread

FOLDER = Path(__file__).parents[2] / "taxonomy"
JIANG = read_taxonomy(FOLDER / "jiang2024.yaml")
SHIPPED = read_lexicon(FOLDER / "lexicons" / "jiang2024.yaml", JIANG)

HEAD = "taxonomy: jiang2024\nabout: Invented.\nweights: {strong: 2.0, medium: 1.0, weak: 0.5}\nrules:"
POND = f"""{HEAD}
  - id: memory
    reason: Memory is named.
    strong: {{symptom: memory-exhaustion}}
    weak: {{stage: environment}}
    phrases: (runs|running) out of (memory|), memory ... grows
    signals: ["EXC:memory*"]
  - id: crash
    reason: A traceback is a crash.
    strong: {{symptom: crash}}
    places: [title, body]
    kinds: [traceback]
    none_of: [memory]
  - id: both-gone
    reason: Neither was seen.
    medium: {{symptom: hang}}
    none_of: [memory, crash]
  - id: memory-in-a-crash
    reason: Both were seen.
    medium: {{symptom: memory-exhaustion}}
    phrases: frog
    all_of: [memory]
"""


def lexicon(tmp_path: Path, text: str = POND) -> Lexicon:
    path = tmp_path / "pond.yaml"
    path.write_text(text)
    return read_lexicon(path, JIANG)


def thread(title: str = "", body: str = "", *comments: str) -> Thread:
    return Thread(
        repository="reed/pond", number=1, title=title, body=body, comments=tuple(Comment(body=comment) for comment in comments)
    )


def originals(asked: Thread) -> dict[tuple[str, int | None], str]:
    texts: dict[tuple[str, int | None], str] = {("title", None): asked.title, ("body", None): asked.body or ""}
    for position, comment in enumerate(asked.comments or ()):
        texts["comment", position] = texts["answer", position] = comment.body
    return texts


def rules_that_hit(rules: Lexicon, *texts: str) -> list[str]:
    return [hit.rule for hit in rules.hits(read_document(thread(*texts)))]


def test_a_phrase_hits_whatever_its_case_where_it_first_stands_in_each_text(tmp_path: Path) -> None:
    read = read_document(
        thread("It runs out of Memory", "Running out\nof it. Yes, RUNNING OUT OF MEMORY.", "It runs out of  memory")
    )
    assert [hit for hit in lexicon(tmp_path).hits(read) if hit.rule == "memory"] == [
        Hit("memory", "title", None, 3, 21), Hit("memory", "body", None, 0, 14), Hit("memory", "comment", 0, 3, 22)
    ]  # fmt: skip


def test_a_gap_holds_up_to_four_words_and_no_sentence_s_end(tmp_path: Path) -> None:
    rules = lexicon(tmp_path)
    assert "memory" in rules_that_hit(rules, "memory grows")
    assert "memory" in rules_that_hit(rules, "memory of the old computer grows")
    assert "memory" not in rules_that_hit(rules, "memory of the very old computer grows")
    assert "memory" not in rules_that_hit(rules, "memory. Grass grows")
    assert "memory" not in rules_that_hit(rules, "memory", "grows")


def test_a_choice_may_be_broken_off_at_its_bars(tmp_path: Path) -> None:
    rules = lexicon(tmp_path, POND.replace("phrases: frog", "phrases: >-\n      newt, (great|\n      small|) (frog|toad)(s|)"))
    for text in ("newt", "frog", "small toads", "great frogs"):
        assert "memory-in-a-crash" in rules_that_hit(rules, f"MemoryError: {text}")
    assert "memory-in-a-crash" not in rules_that_hit(rules, "MemoryError: froglet")


def test_a_signal_hits_by_its_name_s_pattern_and_a_part_by_its_kind(tmp_path: Path) -> None:
    rules = lexicon(tmp_path)
    assert rules_that_hit(rules, "MemoryError") == ["memory"]
    assert rules_that_hit(rules, "", "Traceback (most recent call last):\nKeyError: 3") == ["crash"]


def test_a_rule_looks_only_in_its_places(tmp_path: Path) -> None:
    assert rules_that_hit(lexicon(tmp_path), "", "", "Traceback (most recent call last):\nKeyError: 3") == ["both-gone"]


def test_rules_that_others_depend_on_are_all_hit_or_none(tmp_path: Path) -> None:
    rules = lexicon(tmp_path)
    assert rules_that_hit(rules, "frog") == ["both-gone"]
    assert rules_that_hit(rules, "MemoryError", "frog\nTraceback (most recent call last):\nKeyError: 3") == [
        "memory", "memory-in-a-crash"
    ]  # fmt: skip
    assert rules_that_hit(rules) == []


def test_votes_raise_the_shares_and_are_counted_once_a_thread(tmp_path: Path) -> None:
    rules = lexicon(tmp_path)
    documents = [read_document(thread(title)) for title in ("MemoryError", "frog", "frog", "frog")]
    labels = pd.DataFrame(
        {"symptom": ["memory-exhaustion", "crash", "crash", None], "stage": ["training", "environment", None, "training"]}
    )
    model = LexicalModel(rules).fit(documents, labels)
    assert model.facets_ == ("symptom", "stage")
    assert [list(classes) for classes in model.classes_] == [["crash", "memory-exhaustion"], ["environment", "training"]]
    symptom, stage = model.predict_proba([read_document(thread("MemoryError", "running out of memory")), documents[1]])
    odds = symptom[:, 1] / symptom[:, 0]
    assert rules.votes(["memory", "memory"]) == {
        ("symptom", "memory-exhaustion"): 2.0, ("stage", "environment"): 0.5
    }  # fmt: skip
    assert odds == pytest.approx([0.5 * np.exp(2), 0.5])
    assert stage[:, 0] / stage[:, 1] == pytest.approx([0.5 * np.exp(0.5), 0.5])
    assert model.predict(documents).tolist() == [["memory-exhaustion", "training"]] + [["crash", "training"]] * 3


def test_a_facet_s_probabilities_add_up_to_one_and_no_document_makes_no_row() -> None:
    labels = pd.DataFrame({"symptom": ["crash", "hang"], "reporter": ["re-user", "adaptor"]})
    documents = [read_document(thread("It hangs")), read_document(thread("It crashes"))]
    model = LexicalModel(SHIPPED).fit(documents, labels)
    for probabilities in model.predict_proba(documents):
        assert probabilities.sum(axis=1) == pytest.approx(1)
    assert [p.shape for p in model.predict_proba([])] == [(0, 2), (0, 2)]
    assert model.predict([]).shape == (0, 2)
    assert model.predict(documents)[:, 0].tolist() == ["hang", "crash"]


@pytest.mark.parametrize("rule", SHIPPED.rules, ids=lambda rule: rule.id)
def test_every_shipped_rule_has_a_reason_and_hits_its_example_but_not_its_counterexample(rule: Rule) -> None:
    def hit(text: str) -> bool:
        if rule.places == ["comment"]:
            asked = thread("", "", text)
        else:
            asked = thread(text) if "title" in rule.places and "\n" not in text else thread("", text)
        return rule.id in {found.rule for found in SHIPPED.hits(read_document(asked))}

    assert rule.reason.endswith(".")
    assert list(rule.votes)
    assert hit(rule.example), rule.example
    assert not rule.counterexample or not hit(rule.counterexample)


def test_the_shipped_rules_speak_for_every_category_of_the_six_facets_that_a_text_can_tell() -> None:
    voted = {(facet, category) for rule in SHIPPED.rules for _, facet, category in rule.votes}
    for facet, but in {
        "symptom": {"low-frequency-type"},
        "stage": set(),
        "reporter": set(),
        "manifestation": set(),
        "root-cause": {"low-frequency-type"},
        "defect-type": {"other", "memory-exhaustion", "syntax-error"},
    }.items():
        assert {category for category in JIANG.facet(facet).ids if (facet, category) not in voted} == but


def test_the_shipped_rules_say_which_repositories_they_were_made_from() -> None:
    assert "deezer/spleeter" in SHIPPED.seen
    assert len(SHIPPED.seen) == 8


@given(THREADS)
def test_any_thread_is_read_and_each_hit_stands_in_its_text(asked: Thread) -> None:
    document = read_document(asked)
    hits = SHIPPED.hits(document)
    texts = originals(asked)
    for hit in hits:
        assert 0 <= hit.start < hit.end <= len(texts[hit.origin, hit.comment])
    assert len({hit[:3] for hit in hits}) == len(hits)
    assert SHIPPED.hits(document) == hits


@given(st.text(), st.text())
def test_any_title_and_body_are_read(title: str, body: str) -> None:
    SHIPPED.hits(read_document(thread(title.replace("\0", ""), body.replace("\0", ""))))


@given(st.sampled_from(SHIPPED.rules), st.text(alphabet="xyz \n", max_size=40))
def test_words_before_an_example_move_its_hit_and_take_nothing_away(rule: Rule, before: str) -> None:
    if rule.none_of or rule.kinds or "body" not in rule.places:
        return
    found = {hit.rule: hit for hit in SHIPPED.hits(read_document(thread("", rule.example)))}
    moved = {hit.rule: hit for hit in SHIPPED.hits(read_document(thread("", f"{before}. {rule.example}")))}
    if "\n" not in before and not before.startswith("    "):  # else it may be another kind of text: so far in, it is code
        assert rule.id in moved
        assert moved[rule.id].start == found[rule.id].start + len(before) + 2


def test_a_lexicon_and_its_model_survive_pickling() -> None:
    document = read_document(thread("CUDA out of memory on my own data"))
    assert pickle.loads(pickle.dumps(SHIPPED)).hits(document) == SHIPPED.hits(document)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (POND.replace("taxonomy: jiang2024", "taxonomy: other"), "these rules are for taxonomy 'other', and the"),
        (POND.replace("symptom: memory", "symptoms: memory"), "rule 'memory': taxonomy 'jiang2024' has no facet 'symptoms'"),
        (POND.replace("symptom: crash", "symptom: crush"), "rule 'crash': facet 'symptom' has no category 'crush'; nearest"),
        (POND.replace("    reason: Neither was seen.\n", ""), "pond.yaml:17: rules.2.reason: this key is required"),
        (POND.replace("kinds:", "kind:"), "unknown key; known here: id, reason, strong, medium, weak, places, phrases"),
        (POND.replace("id: crash", "id: memory"), "there is a rule 'memory' above; ids are unique"),
        (POND.replace("all_of: [memory]", "all_of: [newt]"), "no rule 'newt' stands above rule 'memory-in-a-crash'"),
        (POND.replace("(runs|running)", "(runs|running"), "has a parenthesis or a bar that belongs to no choice"),
        (POND.replace("memory ... grows", "memory ..."), "may stand for nothing, or begin or end in a gap"),
        (POND.replace("EXC:memory*", "EXCEPTION"), "'EXCEPTION' is no signal; one begins with EXC:, CODE:"),
        (POND.replace("    kinds: [traceback]\n    none_of: [memory]\n", ""), "rule 'crash' looks for nothing; give it phrases"),
        (POND.replace("strong: 2.0", "strong: heavy"), "weights.strong: Input should be a valid number"),
        (HEAD, "rules: Input should be a valid list"),
    ],
)  # fmt: skip
def test_a_flaw_is_named_in_one_sentence_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RedefectError) as caught:
        lexicon(tmp_path, text)
    sentence = str(caught.value)
    assert sentence.startswith(f"{tmp_path / 'pond.yaml'}:")
    assert says in sentence
    assert "\n" not in sentence
