from pathlib import Path

import pytest

from pipeline.errors import RedefectError
from pipeline.study import find_study, read_study


@pytest.fixture
def changed(root: Path):
    """Read the published study's file with one text replaced."""

    def read(old: str, new: str) -> str:
        path = root / "data" / "studies" / "cv-reengineering.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        line = text[: text.index(old)].count("\n") + 1
        with pytest.raises(RedefectError) as caught:
            read_study(path)
        sentence = str(caught.value)
        assert sentence.startswith(f"{path}:")
        return sentence.removeprefix(f"{path}:").replace(f"{line}: ", "here: ", 1)

    return read


def test_a_study_knows_its_name_and_its_places(root: Path) -> None:
    study = read_study(root / "data" / "studies" / "cv-reengineering.toml")
    assert study.name == "cv-reengineering"
    assert study.root == root
    assert study.build == root / "data" / "build" / "cv-reengineering"
    assert study.selection.minimum_stars == 1000
    assert len(study.repositories) == 27
    assert len(study.digest) == 64


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "minimum_stars = 1000",
            "minimum_starz = 1000",
            "here: selection.minimum_starz: unknown key; known here: searches, minimum_stars,",
        ),
        ("minimum_stars = 1000", 'minimum_stars = "1000"', "here: selection.minimum_stars: Input should be a valid integer"),
        ("zoos = 0.1", "zoos = 1.1", "here: selection.random_share_of_largest_zoos: Input should be less than or equal to 1"),
        ('state = "closed"', 'state = "shut"', "here: selection.state: Input should be 'open', 'closed' or 'all'"),
        ('kind = "zoo"', 'kind = "farm"', ".kind: Input should be 'solo' or 'zoo'"),
        ('path = "Defect-study/Non_', 'path = "../Non_', "leaves the download's base"),
    ],
)
def test_unknown_keys_and_wrong_types_are_named_with_their_line(changed, old: str, new: str, sentence: str) -> None:
    assert sentence in changed(old, new)


def test_a_taxonomy_that_is_not_there_is_named(root: Path) -> None:
    path = root / "data" / "studies" / "demo.toml"
    path.write_text(path.read_text().replace('taxonomy = "jiang2024"', 'taxonomy = "nobody2030"'))
    with pytest.raises(RedefectError, match=r"nobody2030\.yaml: there is no such file"):
        read_study(path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"ultralytics/yolov5"', '"Ultralytics/YOLOv3"', "here: repositories.23.name: 'Ultralytics/YOLOv3' stands twice"),
        ("per_architecture = 5", "per_architecture = 3", "one more 'Faster R-CNN' than the 3"),
        ('facet = "stage"', 'facet = "stages"', "here: distributions.3.facet: taxonomy 'jiang2024' has no defect facet 'stages'"),
        (
            'rows = "project-type"\ncolumns = "manifestation"',
            'rows = "stage"\ncolumns = "stage"',
            "a cross table needs two facets",
        ),
        ('with = "denchmark-cv"', 'with = "nobody"', "here: comparisons.0.with: there is no other study 'nobody' in studies/"),
        ('with = "denchmark-cv"', 'with = "cv-reengineering"', "there is no other study 'cv-reengineering'"),
        ('with = "denchmark-cv"', 'by = "kind"\nwith = "demo"', "here: comparisons.0.by: name one thing to compare"),
        ('name = "figure-06"', 'name = "figure-05"', "here: figures.1.name: figure 'figure-05' stands twice"),
        ('category = "no-defect"', 'category = "perhaps"', "has no category 'perhaps' of an issue's facet 'gate'"),
        ("minimum_stars = 1000", "opened_from = 2020-02-01\nopened_until = 2020-01-01", "2020-01-01 is before opened_from"),
        (
            "minimum_stars = 1000",
            'labels_exclude = ["wontfix", "Bug"]\nlabels_include = ["bug"]',
            "here: selection.labels_exclude: 'Bug' is in labels_include, too",
        ),
        ("random_share_of_largest_zoos = 0.1", "largest_zoos = 2", "here: selection.largest_zoos: limits a random draw"),
    ],
)
def test_contradictions_are_named_with_their_line(changed, old: str, new: str, sentence: str) -> None:
    assert sentence in changed(old, new)


def test_a_study_is_found_by_name_from_a_folder_below_and_by_path(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "notebooks").mkdir()
    monkeypatch.chdir(root / "notebooks")
    assert find_study("demo") == root / "data" / "studies" / "demo.toml"
    assert find_study("elsewhere/x.toml") == Path("elsewhere/x.toml")
    with pytest.raises(RedefectError, match="There is no study 'demmo' in data/studies/; there are: cv-reengineering, demo"):
        find_study("demmo")
