import io
import json
import os
import subprocess
import sys
import zipfile
from contextlib import suppress
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import standins
from conftest import CHECKOUT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skops import io as skops

from pipeline.classify.explanation import explain
from pipeline.classify.model_card import card_path, check_card, write_card
from pipeline.classify.model_file import Classifier, Prediction, hashes, read_model, write_model
from pipeline.errors import RedefectError
from pipeline.taxonomy import Taxonomy

DAMAGED = "is no model file that this version of ReDefect can use, or is damaged; fetch or train it again."


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "demo.skops", standins.demo_classifier())
    return tmp_path / "demo.skops"


def refusal(path: Path) -> str:
    with pytest.raises(RedefectError) as caught:
        read_model(path, standins.TYPES)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def rewritten(path: Path, old: str, new: str) -> None:
    """Change a file's schema, and nothing else."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
        comment = archive.comment
    assert old.encode() in entries["schema.json"]
    entries["schema.json"] = entries["schema.json"].replace(old.encode(), new.encode())
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = comment
        for name, entry in entries.items():
            archive.writestr(name, entry)


def test_a_classifier_that_is_read_back_is_the_one_that_was_written(model: Path) -> None:
    written, read = standins.demo_classifier(), read_model(model, standins.TYPES)
    assert read.predict(standins.demo_threads()) == written.predict(standins.demo_threads())
    for key in ("name", "categories", "thresholds", "withheld", "habits", "data", "versions"):
        assert getattr(read, key) == getattr(written, key)


def test_a_classifier_that_is_read_back_and_written_is_the_same_file(model: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "again.skops", read_model(model, standins.TYPES))
    assert (tmp_path / "again.skops").read_bytes() == model.read_bytes()


def test_the_real_labeller_of_facets_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "real.skops"
    written = replace(standins.demo_classifier(), facets=standins.real_facets(), withheld=())
    write_model(path, written)
    first = path.read_bytes()
    read = read_model(path, standins.TYPES)
    threads = standins.demo_threads()[:40]
    assert read.predict(threads) == written.predict(threads)
    prediction = read.predict(threads[:1])[0]
    assert explain(read, threads[0], prediction) == explain(written, threads[0], prediction)
    write_model(path, read)
    assert path.read_bytes() == first


def test_what_it_was_trained_on_comes_back_with_it(tmp_path: Path) -> None:
    rows = {"stage": {"probabilities": np.array([[0.25, 0.75]], dtype=np.float16), "truth": np.array([1], dtype=np.int16)}}
    written = replace(standins.demo_classifier(), held_out=rows, seen=hashes([("Anvil/Works", 7), ("a/b", 1)]))
    write_model(tmp_path / "model.skops", written)
    read = read_model(tmp_path / "model.skops", standins.TYPES)
    assert read.held_out["stage"]["probabilities"].tolist() == [[0.25, 0.75]]
    assert read.held_out["stage"]["truth"].tolist() == [1]
    assert read.has_seen("anvil/works", 7)
    assert not read.has_seen("anvil/works", 8)
    assert not standins.demo_classifier().has_seen("anvil/works", 7)


def test_skops_itself_reads_the_file(model: Path) -> None:
    assert isinstance(skops.load(model, trusted=list(standins.TYPES)), Classifier)


def test_a_training_in_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; from dataclasses import replace; from pathlib import Path; kept = [object() for _ in range(1000)]; "
        "import standins; from pipeline.classify.model_file import write_model; "
        "model = replace(standins.demo_classifier(), facets=standins.real_facets()); write_model(Path(sys.argv[1]), model)"
    )
    one, other = tmp_path / "one.skops", tmp_path / "other.skops"
    write_model(one, replace(standins.demo_classifier(), facets=standins.real_facets()))
    # All else stays: the environment may name the kernels by which sums are made, and others end in other last digits.
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'tests'}", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, other], env=environment, check=True)
    assert other.read_bytes() == one.read_bytes()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
    | arrays.arrays(st.sampled_from([np.float16, np.float32, np.int32, bool]), arrays.array_shapes(max_side=4)),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=40)
@given(value=VALUES)
def test_whatever_a_labeller_keeps_comes_back(value: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("model") / "any.skops"
    gate = copy(standins.demo_classifier().gate)
    gate.kept = value  # type: ignore[attr-defined]
    write_model(path, replace(standins.demo_classifier(), gate=gate))
    first = path.read_bytes()
    read = read_model(path, standins.TYPES)
    assert equal(read.gate.kept, value)  # type: ignore[attr-defined]
    write_model(path, read)
    assert path.read_bytes() == first


def equal(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(equal(a, b) for a, b in zip(one.values(), other.values(), strict=True))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def test_a_type_that_is_not_listed_is_refused_before_anything_is_built(model: Path) -> None:
    with pytest.raises(RedefectError, match=r"holds standins\.(Gate|Facets) \(ObjectNode\), which no model needs"):
        read_model(model)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"__class__":"Gate","__module__":"standins"', '"__class__":"Popen","__module__":"subprocess"'),
        ('"__class__":"Gate","__module__":"standins","__loader__":"ObjectNode"',
         '"__class__":"system","__module__":"os","__loader__":"FunctionNode"'),
        ('"__class__":"str","__module__":"builtins","__loader__":"TypeNode"',
         '"__class__":"eval","__module__":"builtins","__loader__":"TypeNode"'),
        ('"__class__":"Gate","__module__":"standins"', '"__class__":"LogisticRegression","__module__":"sklearn.linear_model"'),
    ],
)  # fmt: skip
def test_a_file_with_something_harmful_in_it_is_refused(model: Path, old: str, new: str) -> None:
    rewritten(model, old, new)
    assert "which no model needs and which may be harmful; it was not read." in refusal(model)


def test_a_truncated_file_is_one_sentence(model: Path) -> None:
    content = model.read_bytes()
    for length in (0, 1, 30, len(content) // 2, len(content) - 40):
        model.write_bytes(content[:length])
        assert refusal(model) == DAMAGED


def test_a_damaged_file_fails_with_a_sentence_or_not_at_all(model: Path) -> None:
    content = model.read_bytes()
    for place in range(3, len(content), len(content) // 60):
        model.write_bytes(content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :])
        with suppress(RedefectError):  # an entry's date says nothing of the model
            read_model(model, standins.TYPES)


def test_a_schema_that_fits_no_classifier_is_one_sentence(model: Path) -> None:
    rewritten(model, '"habits":', '"habit":')
    assert refusal(model) == DAMAGED


def test_a_model_that_lacks_what_this_version_needs_is_one_sentence(model: Path) -> None:
    rewritten(model, '"weights_":', '"weight":')
    assert refusal(model) == DAMAGED


def test_a_file_of_something_else_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "other.skops"
    assert refusal(path) == "cannot be read (No such file or directory)."
    path.write_text("no zip file")
    assert refusal(path) == DAMAGED
    path.write_bytes(skops.dumps({"a": 1}))
    assert refusal(path) == "is no model file of ReDefect; give one that `redefect` wrote."


def test_a_file_of_a_newer_format_says_so(model: Path) -> None:
    model.write_bytes(model.read_bytes().replace(b"ReDefect model, format 1", b"ReDefect model, format 2"))
    assert refusal(model) == "is a model in format 2, and this version reads 1; install a newer ReDefect."


def test_a_file_that_unpacks_to_more_than_a_model_takes_is_refused(model: Path) -> None:
    with zipfile.ZipFile(model, "a", zipfile.ZIP_DEFLATED) as archive:
        for part in range(4):
            archive.writestr(f"{part}.npy", bytes(60_000_000))
    assert refusal(model) == "is larger than a model file may be; nothing of it was read."


def test_a_model_that_is_too_large_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "large.skops"
    path.write_text("the old one")
    random = np.random.default_rng(0).bytes(6_000_000)
    large = replace(standins.demo_classifier(), data={"large": random.hex()})
    with pytest.raises(RedefectError, match=r"the model takes 6\.\d MB, and may take 5; give it fewer features"):
        write_model(path, large)
    assert path.read_text() == "the old one"


def predicted(classifier: Classifier) -> list[Prediction]:
    return classifier.predict(standins.demo_threads())


def test_facets_and_categories_come_in_the_taxonomys_order(taxonomy: Taxonomy) -> None:
    for prediction in predicted(standins.demo_classifier()):
        assert list(prediction.gate) == ["defect", "question", "feature"]
        assert list(prediction.facets) == ["stage", "symptom", "root-cause"]
        for facet, of in prediction.facets.items():
            assert list(of.probabilities) == [c for c in taxonomy.facet(facet).ids if c in of.probabilities]


def test_probabilities_have_four_digits_and_add_up() -> None:
    for prediction in predicted(standins.demo_classifier()):
        for probabilities in (prediction.gate, *(of.probabilities for of in prediction.facets.values())):
            assert sum(round(p * 10_000) for p in probabilities.values()) == 10_000
            assert all(p == round(p, 4) for p in probabilities.values())
        for of in prediction.facets.values():
            assert of.probability == of.probabilities[of.category]


def test_the_labeller_guesses_and_the_likeliest_category_is_shown_beside_it() -> None:
    classifier = standins.demo_classifier()
    guesses = [of for p in predicted(classifier) for of in p.facets.values()]
    assert {of.probability == max(of.probabilities.values()) for of in guesses} == {True, False}
    documents = classifier.read(standins.demo_threads())
    expected = classifier.facets.best_guesses(classifier.facets.predict_proba(documents))
    column = classifier.facets.facets_.index("stage")
    assert [p.facets["stage"].category for p in predicted(classifier)] == expected[:, column].tolist()


def test_a_facet_abstains_below_its_threshold_and_always_when_withheld() -> None:
    sure = standins.demo_classifier()
    guesses = [of for p in predicted(sure) for facet, of in p.facets.items() if facet == "stage"]
    assert {of.abstained for of in guesses} == {True, False}
    assert all(of.abstained == (of.probability < 0.5) for of in guesses if of.probability != 0.5)
    assert all(p.facets["root-cause"].abstained for p in predicted(sure))
    bold = replace(sure, thresholds={}, withheld=())
    assert not any(of.abstained for p in predicted(bold) for of in p.facets.values())


def test_threads_are_labelled_each_by_itself() -> None:
    classifier, threads = standins.demo_classifier(), standins.demo_threads()
    together = classifier.predict(threads[:20])
    assert [classifier.predict([thread])[0] for thread in threads[:20]] == together
    assert classifier.predict([]) == []


def test_a_prediction_is_one_line_of_json() -> None:
    prediction = predicted(standins.demo_classifier())[0]
    value = json.loads(prediction.to_json())
    assert list(value) == ["repository", "number", "gate", "facets"]
    assert list(value["facets"]["stage"]) == ["category", "probability", "abstained", "probabilities"]
    assert "\n" not in prediction.to_json()


def test_a_card_tells_what_a_model_is_and_belongs_to_its_file(model: Path) -> None:
    metrics = {"Scores": pd.DataFrame({"facet": ["stage"], "kappa": [0.51234], "low": [None], "n": [12]})}
    write_card(model, standins.demo_classifier(), "Of *fictional* threads.", metrics, "make train")
    check_card(model)
    text = card_path(model).read_text()
    assert "| root-cause |" in text
    assert "yes: it cannot be learnt yet" in text
    assert "| stage | 0.512 |  | 12 |" in text
    assert f"| labels.csv | `{'0' * 64}` |" in text
    first = card_path(model).read_bytes()
    write_card(model, standins.demo_classifier(), "Of *fictional* threads.", metrics, "make train")
    assert card_path(model).read_bytes() == first


def test_a_card_of_another_file_is_told(model: Path) -> None:
    write_card(model, standins.demo_classifier(), "", {}, "make train")
    write_model(model, replace(standins.demo_classifier(), withheld=()))
    with pytest.raises(RedefectError, match=r"demo\.md: is not the card of demo\.skops as it is now; make both anew"):
        check_card(model)
    card_path(model).unlink()
    with pytest.raises(RedefectError, match="there is no such file"):
        check_card(model)


def test_nothing_in_a_file_tells_where_or_when_it_was_made(model: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(model.read_bytes())) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert "__id__" not in archive.read("schema.json").decode()


@pytest.mark.parametrize("path", sorted((CHECKOUT / "data" / "models").glob("*.skops")), ids=lambda path: path.name)
def test_a_shipped_model_is_its_cards_and_labels_threads(path: Path, taxonomy: Taxonomy) -> None:
    check_card(path)
    shipped = read_model(path)
    assert set(shipped.withheld) <= set(shipped.categories) <= {facet.id for facet in taxonomy.defect_facets}
    threads = standins.demo_threads()[:30]
    guesses = shipped.predict(threads)
    assert [prediction.number for prediction in guesses] == [thread.number for thread in threads]
    assert len({prediction.facets["symptom"].category for prediction in guesses}) > 1
    assert explain(shipped, threads[0], guesses[0])["symptom"]
