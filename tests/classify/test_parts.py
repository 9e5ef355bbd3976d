import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.classify.parts import Kind, Span, split

FENCE_MARK = re.compile(r"[\s>*+.)\d-]*(`{3,}|~{3,})")


def told(text: str) -> list[tuple[Kind, str]]:
    return [(kind, text[start:end]) for kind, start, end in split(text)]


def kinds(text: str) -> list[Kind]:
    return [span.kind for span in split(text)]


def test_a_report_is_parted_into_what_people_wrote_and_what_they_pasted() -> None:
    body = """The heron net stops after an epoch.

```python
import heron
net = heron.load("pond")
net.fit(frames)
```
It says:
```
2031-05-01 10:00:00 INFO loading frames
2031-05-01 10:00:09 INFO 12 frames
Traceback (most recent call last):
  File "train.py", line 12, in <module>
    net.fit(frames)
  File "/opt/heron/net.py", line 7, in fit
    raise ValueError("no water")
ValueError: no water
```
My environment:
- heron 1.4.2
- Python version: 3.8
- OS: Ubuntu 18.04

> did you try a smaller pond?

Yes, twice.
"""
    assert told(body) == [
        ("prose", "The heron net stops after an epoch."),
        ("code", 'import heron\nnet = heron.load("pond")\nnet.fit(frames)'),
        ("prose", "It says:"),
        ("log", "2031-05-01 10:00:00 INFO loading frames\n2031-05-01 10:00:09 INFO 12 frames"),
        (
            "traceback",
            'Traceback (most recent call last):\n  File "train.py", line 12, in <module>\n    net.fit(frames)\n'
            '  File "/opt/heron/net.py", line 7, in fit\n    raise ValueError("no water")\nValueError: no water',
        ),
        ("prose", "My environment:"),
        ("versions", "- heron 1.4.2\n- Python version: 3.8\n- OS: Ubuntu 18.04"),
        ("quote", "> did you try a smaller pond?"),
        ("prose", "Yes, twice."),
    ]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("I installed it with conda and it works now, thanks.", "prose"),
        ("训练时报错，请问是什么原因？", "prose"),
        ("@reed could you have a look?", "prose"),
        ("| column | meaning |", "prose"),
        ("OS: [e.g. Ubuntu]", "prose"),
        ("True 1.0", "prose"),
        ("<details><summary>The pond</summary>", "prose"),
        ('<pond depth="3">', "code"),
        ("For me it stops, if I wait: why?", "prose"),
        ("import heron as hr", "code"),
        ("for frame in frames:", "code"),
        ("$ heron train --pond 3", "code"),
        (">>> heron.load('pond')", "code"),
        ("pip install heron==1.4", "code"),
        ("model.fit(frames, epochs=3)", "code"),
        ("loss = net(frames)", "code"),
        ("@@ -1,3 +1,4 @@", "code"),
        ("(base) ann@pond:~/net $ ls", "code"),
        ("RuntimeError: the pond is dry", "traceback"),
        ("    at org.heron.Pond.fill(Pond.java:12)", "traceback"),
        ("[rank0]: Traceback (most recent call last):", "traceback"),
        ("    @     0x4b9ab6 PyEval_EvalCodeEx", "traceback"),
        ("Epoch 3/10", "log"),
        ("[Epoch 3] loss 5.89", "log"),
        ("\x1b[32m[0412 10:11:12 @net.py:12]\x1b[0m pond full", "log"),
        ("I0412 10:11:12.123456 123 net.cpp:12] filling", "log"),
        ("WARNING: the pond is shallow", "log"),
        ("heron/pond.cc:12:5: error: no water", "log"),
        ("PyTorch: 1.8", "versions"),
        ("- `heron` version: 3.0.2", "versions"),
        ("numpy==1.19.2", "versions"),
        ("[pip3] numpy==1.19.2", "versions"),
        ("heron-net            1.4.2        py38_0", "versions"),
        ("CUDA used to build PyTorch: 10.1", "versions"),
        ("- [x] I searched for the same pond", "boilerplate"),
        ("<!-- tell us about your pond -->", "boilerplate"),
        ("> I had said so", "quote"),
        ("> ```\n> fill(pond)\n> ```", "quote"),
        ("Sent from my pond", "quote"),
    ],
)  # fmt: skip
def test_a_line_tells_its_kind(line: str, kind: Kind) -> None:
    assert kinds(line) == [kind]


def test_a_traceback_that_lost_its_indentation_is_one() -> None:
    text = 'It failed:\nTraceback (most recent call last):\nFile "a.py", line 3, in main\npond.fill()\nKeyError: 1\nAny idea?'
    assert kinds(text) == ["prose", "traceback", "prose"]
    assert kinds(text.replace("Traceback (most recent call last):\n", "")) == ["prose", "traceback", "prose"]


def test_output_without_code_is_no_code_because_it_is_fenced() -> None:
    assert kinds("```\n[INFO] filling\nponds 12 of 13\n[INFO] done\n```") == ["log"]
    assert kinds("```\nPackage    Version\nheron 1.2.3\nlocal pond\n```") == ["versions"]
    assert kinds("```\nsome words\n```") == ["code"]
    assert kinds("```\napi: 1.2\npond:\n  water: deep\n  reed: green\n```")[-1] == "code"


def test_answers_by_mail_are_parted_from_what_they_quote() -> None:
    top = "Works now.\n\nOn Mon, 3 May 2031, Reed <reed@example.org> wrote:\n\nIs it still dry?\n\nReply to this email directly"
    assert told(top)[0] == ("prose", "Works now.")
    assert kinds(top) == ["prose", "quote"]
    below = "On Mon, 3 May 2031, Reed wrote:\n> Is it still dry?\n\nNo."
    assert kinds(below) == ["quote", "prose"]


def test_fences_are_found_in_lists_and_quotes_and_with_any_line_end() -> None:
    assert kinds("1. run\n\n   ```\n   a = 1\n   ```\n2. see") == ["prose", "code", "prose"]
    for end in ("\n", "\r\n", "\r"):
        assert told(f"see{end}```{end}x y{end}{end}z{end}```{end}end") == [
            ("prose", "see"), ("code", f"x y{end}{end}z"), ("prose", "end"),
        ]  # fmt: skip


def test_a_fence_that_nobody_closed_does_not_swallow_the_report() -> None:
    text = "```\nnet.fit()\nnet.stop()\n\nThen nothing happens and the pond stays dry."
    assert kinds(text) == ["code", "prose"]


def test_indented_and_tabbed_code_is_code_and_html_is_prose() -> None:
    assert kinds("See:\n\n    pond of water\n\tand reed\n\nok") == ["prose", "code", "prose"]
    assert kinds("<p align=center>\nA pond.\n</p>") == ["prose"]
    assert kinds("<!-- which\npond? --> \nThe small one.") == ["boilerplate", "prose"]


def test_a_recurring_line_and_the_prompt_of_a_line_are_boilerplate() -> None:
    def recurring(line: str) -> int:
        return len(line) if line == "Describe the pond" else len("Kind of pond:") * line.startswith("Kind of pond:")

    text = "Describe the pond\nIt is dry.\nKind of pond: a small one"
    assert [(kind, text[start:end]) for kind, start, end in split(text, recurring)] == [
        ("boilerplate", "Describe the pond"),
        ("prose", "It is dry."),
        ("boilerplate", "Kind of pond:"),
        ("prose", "a small one"),
    ]


def covers(text: str, spans: list[Span]) -> None:
    at = 0
    for span in [*spans, Span("prose", len(text), len(text))]:
        assert span.start >= at
        assert span.end > span.start or span.end == len(text)
        between = text[at : span.start]
        for line in re.split(r"\r\n|\r|\n", between):
            assert not line.strip() or FENCE_MARK.match(line), (between, text)
        at = span.end
        assert text[span.start : span.end] == text[span.start : span.end].strip()


LINES = [
    "", " ", "a word", "```", "~~~~", "```python", "``` a b", "> said", "> ```", ">> more", "- item", "- ```", "    four",
    "\ttab", "<!--", "-->", "<div>", "# head", "---", "===", "| a | b |", "|---|---|", "Traceback (most recent call last):",
    '  File "a.py", line 1, in b', "KeyError: 1", "On Monday a@b.org wrote:", "- [ ] done", "heron==1.2", "INFO: x", "x = 1",
    "中文", "\x0b", "\x85", "\u2028", "\0", "a\tb", "Kind of pond: x", "1. one", "   ```", "[a]: b", "\\", "`",
]  # fmt: skip
TEXTS = st.lists(
    st.tuples(st.sampled_from(LINES) | st.text(max_size=20), st.sampled_from(["\n", "\r\n", "\r", " "])), max_size=25
).map(lambda pairs: "".join(line + end for line, end in pairs))
RECURRING = st.sampled_from([lambda _: 0, len, lambda line: min(len(line), 3), lambda line: len(line) // 2])


@given(TEXTS | st.text(), RECURRING)
@example("```\n", len)
@example("- ```\n  a\n", len)
@example("00  \n", lambda line: min(len(line), 3))
def test_parts_are_disjoint_ordered_and_lose_nothing(text: str, recurring: Callable[[str], int]) -> None:
    covers(text, split(text, recurring))


@pytest.mark.parametrize(
    "piece",
    [
        "a", "`", "```\n", "> ", ">", "> > ```\n", "- ", "* a\n  ", "\t", " ", "\n", "<!--", "<", "[", "](", "![", "(", "=",
        "> ```\nb```\n", "=\n", "a.", "a.a(", "|", "| a ", "1", "1.", "1.1 ", "version ", "Error", "Error: ", "File \"",
        "Traceback (most recent call last): ", "On wrote:", "a@", "-", "_", "\r", "#", "&", "\\", "字", "a = ", "a, ",
        "x" * 50 + "\n", "a:\n    ", "[ ] ", "  - a\n",
    ],
)  # fmt: skip
def test_two_hundred_thousand_letters_of_anything_are_read(piece: str) -> None:
    text = (piece * (200_000 // len(piece) + 1))[:200_000]
    covers(text, split(text))
