from pathlib import Path

import pytest

from pipeline.importing import import_study
from pipeline.openstudy import OpenStudy, open_study
from pipeline.store.session import Store
from pipeline.study import read_study


def test_without_a_name_the_study_is_that_of_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = root / "data" / "studies" / "demo.toml"
    other = study.with_name("other.toml")
    other.write_text(study.read_text())
    import_study(Store(str(read_study(other).database)), read_study(other))
    monkeypatch.setenv("REDEFECT_STUDY", str(other))
    assert open_study().study.name == "other"


def test_a_study_s_heading_says_what_it_is_and_that_it_is_fictional(demo: OpenStudy) -> None:
    assert demo.study.title in str(demo.heading)
    assert "fictional" in demo.heading[-1]
