from hypothesis import given
from hypothesis import strategies as st

from pipeline.classify.language import PARTS, SIGNALS, language

NLP = language()


def test_parts_and_signals_are_marked_in_the_text() -> None:
    doc = NLP("It stops in torch.nn.\n> said RuntimeError\n```\nKeyError: 1\n```\n")
    assert [(span.label_, span.text) for span in doc.spans[PARTS]] == [
        ("prose", "It stops in torch.nn."), ("quote", "> said RuntimeError"), ("traceback", "KeyError: 1"),
    ]  # fmt: skip
    assert [(span.label_, span.text) for span in doc.spans[SIGNALS]] == [
        ("API:torch.nn", "torch.nn"),
        ("EXC:keyerror", "KeyError"),
    ]


def test_names_with_dots_versions_and_numbers_are_words() -> None:
    assert [token.text for token in NLP("use torch.nn 1.8.1, not x=0.5!")] == [
        "use", "torch.nn", "1.8.1", ",", "not", "x", "=", "0.5", "!",
    ]  # fmt: skip


@given(st.text())
def test_no_letter_is_lost(text: str) -> None:
    assert NLP(text).text == text
