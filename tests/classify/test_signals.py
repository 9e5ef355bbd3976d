import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.classify.signals import SIGNAL_KINDS, find


def names(text: str) -> list[str]:
    return [mention.name for mention in find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It raises a RuntimeError in the pond", {"EXC:runtimeerror"}),
        ("torch.distributed.elastic.ChildFailedError: no", {"EXC:childfailederror"}),
        ("an error and a warning in words", set()),
        ("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED", {"GPU:cudnn", "CODE:cudnn_status_not_initialized"}),
        ("[Errno 2] No such file", {"CODE:errno2"}),
        ("stopped with exit code 137", {"CODE:exit137"}),
        ("Segmentation fault (core dumped)", {"CODE:segmentation-fault", "CODE:core-dumped"}),
        ("calls torch.nn.functional.interpolate here", {"API:torch.nn", "API:functional.interpolate"}),
        ("then `model.fit(x)` stops", {"API:model.fit"}),
        ("np.array([1])", {"API:numpy.array"}),
        ("import torch.nn as nn", {"API:torch.nn"}),
        ("self.pond.fill() and self.dry()", {"API:pond.fill", "API:dry"}),
        ("It stopped.Then it went on", set()),
        ("see https://pond.example.com/reed.html or ask at pond.org", {"FILE:reed.html"}),
        ('File "/opt/heron/net.py", line 7, in fit', {"FILE:net.py"}),
        ("see pond-12ab.png", {"FILE:*.png"}),
        ("PyTorch: 1.8.1", {"VER:torch=1.8"}),
        ("mmcv:1.1.3", {"VER:mmcv=1.1"}),
        ("tensorflow-gpu==2.3.0", {"VER:tensorflow=2.3", "GPU:gpu"}),
        ("TensorFlow version (use command below): v2.3.0-rc2", {"VER:tensorflow=2.3"}),
        ("OS Platform (e.g., Linux Ubuntu 16.04): Ubuntu 18.04", {"VER:ubuntu=18.04"}),
        ("a pond of 3.7 metres", set()),
        ("the mAP is only 0.37", {"MEAS:map"}),
        ("accuracy 91.2 %", {"MEAS:acc"}),
        ("loss becomes NaN", {"MEAS:loss=nan"}),
        ("the loss of my keys", set()),
        ("CUDA out of memory", {"GPU:cuda", "GPU:memory"}),
        ("on an RTX 2080 and a V100", {"GPU:rtx2080", "GPU:v100"}),
        ("on a Tesla-V100", {"GPU:v100"}),
        ("it hangs with 2 GPUs", {"GPU:gpu", "GPU:many"}),
        ("训练时出现RuntimeError，显卡GPU", {"EXC:runtimeerror", "GPU:gpu"}),
    ],
)  # fmt: skip
def test_what_a_text_names_is_found(text: str, expected: set[str]) -> None:
    assert set(names(text)) == expected


def test_a_signal_stands_at_its_first_place_with_the_line_of_a_file() -> None:
    text = 'KeyError, then KeyError again in File "a/net.py", line 12, or net.py:3'
    assert [(mention.name, mention.kind, text[mention.start : mention.end]) for mention in find(text)] == [
        ("EXC:keyerror", "EXC", "KeyError"),
        ("FILE:net.py", "FILE", 'net.py", line 12'),
    ]


def test_code_is_read_without_versions_and_measures() -> None:
    assert [mention.name for mention in find("torch 1.8, loss = 0.3", numbers=False)] == []


PIECES = st.sampled_from(
    [
        "KeyError", "torch.nn", ".", "(", "/", "@", " ", "\n", "1.8", "PyTorch", "version", "(e.g", ")", "loss", "nan",
        "exit code ", "137", "GPU", "RTX", "2080", "İ", "errno", "v", "=", "a.py", ":12", "-", "中",
    ]
)  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=5), max_size=30).map("".join))
def test_signals_are_named_once_placed_and_in_order(text: str) -> None:
    mentions = find(text)
    assert len({mention.name for mention in mentions}) == len(mentions)
    assert [m.start for m in mentions] == sorted(m.start for m in mentions)
    for mention in mentions:
        assert 0 <= mention.start < mention.end <= len(text)
        assert mention.kind in SIGNAL_KINDS
        assert len(mention.name) > len(mention.kind) + 1


@pytest.mark.parametrize(
    "piece",
    [
        "a.", "a", "a.b ", "Error", "1.1", "1", "torch 1.8 ", "loss ", "loss of ", "exit code ", "errno", "(", " ", "e.g (",
        "1KeyError ", "RTX ", "version ", "a(", "/a", "İ", "deadlock", "torch = = = ", "mAP@", "a.py:1 ",
    ],
)  # fmt: skip
def test_two_hundred_thousand_letters_of_anything_are_read(piece: str) -> None:
    text = (piece * (200_000 // len(piece) + 1))[:200_000]
    assert len(find(text)) < 100


def test_many_different_names_are_found_in_one_pass() -> None:
    text = " ".join(f"1a{i}Error b{i}Error" for i in range(8_000))
    assert len(find(text)) == 16_000
