import csv
import io
from pathlib import Path

from conftest import Run

from pipeline.importing import import_study
from pipeline.store.session import Store
from pipeline.study import read_study


def test_turns_are_proposed_by_reference_and_a_study_without_interviews_says_so(redefect: Run, root: Path) -> None:
    study = read_study(root / "data" / "studies" / "demo.toml")
    store = Store(str(study.database))
    import_study(store, study)
    store.close()
    out = redefect("interviews", "propose", "--study", "demo").stdout
    assert "made data/build/demo/proposals.csv" in out
    rows = list(csv.DictReader(io.StringIO((study.build / "proposals.csv").read_text())))
    assert f"{len(rows)} proposals of themes" in out
    assert list(rows[0]) == ["transcript", "turn", "theme", "cues"]

    path = study.path.with_name("mute.toml")
    blocks = study.path.read_text().split("\n\n")
    path.write_text("\n\n".join(block for block in blocks if "interview" not in block))
    import_study(Store(str(read_study(path).database)), read_study(path))
    err = redefect("interviews", "propose", "--study", "mute", expect=1).stderr
    assert "Study 'mute' has no interviews: name transcripts and their codings" in " ".join(err.split())
