from pathlib import Path

import pytest
from conftest import CHECKOUT

from pipeline.errors import RedefectError
from pipeline.themes import read_themes


def changed(root: Path, old: str, new: str) -> Path:
    path = root / "taxonomy" / "challenges.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_study_s_four_challenges_show_in_defects_each_with_a_reason() -> None:
    themes = read_themes(CHECKOUT / "taxonomy" / "challenges.yaml")
    assert [theme.id for theme in themes.themes if theme.published] == [
        "model-operationalization", "performance-debugging", "portability", "customized-data-pipeline",
    ]  # fmt: skip
    assert themes.challenges == [theme for theme in themes.themes if theme.published]
    assert len(themes.phases) == 8


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "{stage: [data-pipeline]}\n        reason",
            "{stage: [data-pipe]}\n        reason",
            "has no category 'data-pipe'; nearest:",
        ),
        ("- where: {stage: [data-pipeline]}", "- where: {stag: [data-pipeline]}", "theme 'customized-data-pipeline': taxonomy"),
        ("shows: {stage: [modeling]}", "shows: {stage: [model]}", "phase 'modeling': facet 'stage' has no category 'model'"),
        ("- id: testing", "- id: portability", "'portability' stands twice"),
        (
            "kind: challenge\n    published: true",
            "kind: practice\n    published: true",
            "is a practice; only challenges show in defects",
        ),
        ("least_words", "last_words", "unknown key"),
    ],
)
def test_what_is_wrong_in_the_code_book_is_named(root: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(RedefectError) as caught:
        read_themes(changed(root, old, new))
    assert sentence in str(caught.value)
    assert "challenges.yaml" in str(caught.value)
