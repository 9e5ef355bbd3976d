from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RedefectError
from pipeline.taxonomy import normalise, read_crosswalk, read_taxonomy

FOLDER = Path(__file__).parent.parent / "taxonomy"
JIANG = read_taxonomy(FOLDER / "jiang2024.yaml")


def test_the_study_s_taxonomy_has_the_facets_of_its_instrument() -> None:
    assert [facet.id for facet in JIANG.defect_facets] == [
        "framework", "project-type", "reporter", "stage", "manifestation", "symptom", "defect-type", "root-cause", "same-code",
        "same-data",
    ]  # fmt: skip
    assert [facet.id for facet in JIANG.facets if facet.level == "issue"] == ["gate"]


def test_root_causes_group_under_the_stages() -> None:
    causes = JIANG.facet("root-cause")
    assert causes.parent("loss-function") == "training"
    assert causes.parent("corrupt-data") == "data-pipeline"
    assert causes.parent("documentation") is None
    assert "training" not in causes.ids


@given(st.sampled_from([(f, c, s) for f in JIANG.facets for c in f.values for s in (c.id, c.label, *c.variants)]), st.data())
def test_every_spelling_is_found_whatever_its_case_and_white_space(spelled, data: st.DataObject) -> None:
    facet, category, spelling = spelled
    words = [data.draw(st.sampled_from([w, w.upper(), w.lower(), w.title()])) for w in spelling.split()]
    space = data.draw(st.sampled_from([" ", "  ", "\N{NO-BREAK SPACE}", "\t"]))
    assert facet.find(space + space.join(words) + space) == category.id


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_an_unknown_value_is_named_with_its_place_and_the_nearest_known_ones() -> None:
    with pytest.raises(RedefectError) as caught:
        JIANG.facet("symptom").canonicalise("Crasch", "table.csv: row 7")
    assert str(caught.value).startswith("table.csv: row 7: 'Crasch' is no known category of facet 'symptom'; nearest are crash,")


def test_an_unknown_facet_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(RedefectError, match="x: taxonomy 'jiang2024' has no facet 'stages'.*Did you mean 'stage'"):
        JIANG.facet("stages", "x")


def _broken(tmp_path: Path, change) -> str:
    data = yaml.safe_load((FOLDER / "jiang2024.yaml").read_text())
    change({facet["id"]: facet for facet in data["facets"]}, data)
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(RedefectError) as caught:
        read_taxonomy(path)
    return str(caught.value)


def test_a_repeated_category_is_an_error(tmp_path: Path) -> None:
    sentence = _broken(tmp_path, lambda f, _: f["stage"]["categories"].append(f["stage"]["categories"][0]))
    assert "facet 'stage' has category 'environment' twice" in sentence


def test_a_repeated_facet_and_a_column_of_two_facets_are_errors(tmp_path: Path) -> None:
    assert "facet 'gate' stands twice" in _broken(tmp_path, lambda f, d: d["facets"].append(f["gate"]))
    assert "column 'reporter' belongs to two facets" in _broken(tmp_path, lambda f, _: f["stage"]["columns"].append("Reporter"))


def test_an_orphan_parent_and_a_circle_are_errors(tmp_path: Path) -> None:
    def orphan(facets, _) -> None:
        facets["root-cause"]["categories"][-1]["parent"] = "nothing"

    def circle(facets, _) -> None:
        facets["root-cause"]["categories"][0]["parent"] = "modeling"
        facets["root-cause"]["categories"][1]["parent"] = "data-pipeline"

    assert "has parent 'nothing', which is no group here" in _broken(tmp_path, orphan)
    assert "is its own ancestor" in _broken(tmp_path, circle)


def test_a_spelling_of_two_categories_is_an_error(tmp_path: Path) -> None:
    def twice(facets, _) -> None:
        facets["stage"]["categories"][0]["variants"] = ["Train"]

    assert "facet 'stage' maps 'train' to both 'environment' and 'training'" in _broken(tmp_path, twice)


def test_a_second_taxonomy_is_a_second_file_and_no_code() -> None:
    fault = read_taxonomy(FOLDER / "humbatova2020.yaml").facet("fault")
    assert fault.find("Missing/redundant/wrong layer") == "missing-redundant-wrong-layer"
    assert fault.parent("activation-function") == "layers"
    code = "".join(path.read_text() for path in (FOLDER.parent / "pipeline").rglob("*.py"))
    words = {category.id for facet in JIANG.defect_facets for category in facet.categories if "-" in category.id}
    assert sorted(word for word in words | {"humbatova"} if f'"{word}"' in code) == []


def test_the_crosswalk_covers_each_root_cause_and_names_only_known_faults() -> None:
    crosswalk = read_crosswalk(FOLDER / "crosswalks" / "jiang2024-humbatova2020.yaml")
    assert crosswalk.targets("optimizer") == ["optimiser"]
    assert crosswalk.targets("layer-properties") == ["layer-properties", "wrong-tensor-shape"]
    assert crosswalk.targets("documentation") == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("source: optimizer,", "source: optimiser,", "'optimiser' is no category of facet 'root-cause'"),
        ("target: optimiser,", "target: optimizer,", "'optimizer' is no category of facet 'fault'"),
        ("target: optimiser, relation: equal", "target: null, relation: equal", "only 'none' has no target"),
        ("  - {source: optimizer, target: optimiser, relation: equal}\n", "", "no correspondence for optimizer"),
    ],
)
def test_a_wrong_crosswalk_is_an_error(root: Path, old: str, new: str, sentence: str) -> None:
    path = root / "taxonomy" / "crosswalks" / "jiang2024-humbatova2020.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(RedefectError, match=sentence):
        read_crosswalk(path)
