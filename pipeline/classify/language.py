"""spaCy's side: a blank English pipeline that needs no download, for matchers over words and for showing what was found."""

import re
from collections.abc import Iterable

import spacy
from spacy.language import Language
from spacy.tokens import Doc, SpanGroup
from spacy.vocab import Vocab

from pipeline.classify.habits import NO_HABITS, Habits
from pipeline.classify.parts import Recurring, nothing_recurs, split
from pipeline.classify.text import mentions

PARTS, SIGNALS = "parts", "signals"
"""Under which names `Doc.spans` holds what was found; a span's label is its kind or the signal's name."""

_WORD = re.compile(r"(\w+(?:\.\w+)*+|[^\w\s]|\s+)( ?)")
_LONGEST_TEXT = 20_000_000


class IssueTokenizer:
    """Parts a text into words: names with dots, versions and numbers stay whole, and nothing of the text is lost."""

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab

    def __call__(self, text: str) -> Doc:
        """Return the text's words."""
        found = _WORD.findall(text)
        return Doc(self.vocab, words=[word for word, _ in found], spaces=[bool(space) for _, space in found])


class IssueParts:
    """Marks the parts of a text (`pipeline.classify.parts`)."""

    recurring: Recurring = staticmethod(nothing_recurs)

    def __call__(self, doc: Doc) -> Doc:
        """Mark the parts in `doc.spans`."""
        return _marked(doc, PARTS, ((span.kind, span.start, span.end) for span in split(doc.text, self.recurring)))


class IssueSignals:
    """Marks the signals in a text's parts (`pipeline.classify.signals`)."""

    def __call__(self, doc: Doc) -> Doc:
        """Mark the signals in `doc.spans`, those of one name at the first place."""
        spans = [(span.label_, span.start_char, span.end_char) for span in doc.spans[PARTS]]
        return _marked(doc, SIGNALS, mentions(doc.text, spans))


def _marked(doc: Doc, name: str, found: Iterable[tuple[str, int, int]]) -> Doc:
    spans = (doc.char_span(start, end, label=label, alignment_mode="expand") for label, start, end in found)
    doc.spans[name] = SpanGroup(doc, name=name, spans=[span for span in spans if span is not None])
    return doc


Language.factory("issue_parts", func=lambda nlp, name: IssueParts())
Language.factory("issue_signals", func=lambda nlp, name: IssueSignals())


def language(habits: Habits = NO_HABITS, repository: str = "") -> Language:
    """Return a pipeline that marks parts and signals in the texts it reads.

    Parameters
    ----------
    repository
        Whose habits tell which lines are boilerplate.
    """
    nlp = spacy.blank("en")
    nlp.max_length = _LONGEST_TEXT
    nlp.tokenizer = IssueTokenizer(nlp.vocab)
    parts = nlp.add_pipe("issue_parts")
    parts.recurring = habits.recurring(repository)  # type: ignore[attr-defined]  # it is an IssueParts
    nlp.add_pipe("issue_signals")
    return nlp
