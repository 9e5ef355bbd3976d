"""The file that holds a classifier: skops, read by a list of types, the same bytes for the same classifier.

skops writes memory addresses and the time of day into its zip files. Neither means anything in a file, so both are taken out
before it is kept; it stays a file that skops reads.
"""

import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from threadpoolctl import ThreadpoolController

from pipeline import files
from pipeline.classify.features import MOST_CHARACTERS
from pipeline.classify.habits import NO_HABITS, Habits, parse_habits
from pipeline.classify.text import Document, read_document
from pipeline.errors import RedefectError
from pipeline.taxonomy import Taxonomy
from pipeline.thread import Thread

MOST_BYTES = 5_000_000
"""Of a model file: it goes into git, and everybody who clones the project gets it."""

_MOST_BYTES_UNPACKED = 200_000_000
_FORMAT = 1
_MARK = "ReDefect model, format "
_SCHEMA = "schema.json"
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip file can tell

OWN_TYPES: tuple[str, ...] = (
    "pipeline.classify.facets.Calibration",
    "pipeline.classify.facets.FacetClassifier",
    "pipeline.classify.gate.Gate",
    "pipeline.classify.lexicon.Lexicon",
    "pipeline.classify.model_file.Classifier",
    "pipeline.classify.terms.HashedTerms",
    "pipeline.classify.terms.RowScaled",
    "pipeline.classify.vectors.WordVectors",
)
"""What a model file may hold besides numbers, texts and arrays. Whatever else is in a file is refused before it is built."""

_PLAIN_TYPES: dict[str, tuple[str, ...]] = {
    "JsonNode": ("builtins.str",),
    "DictNode": ("builtins.dict",),
    "ListNode": ("builtins.list",),
    "TupleNode": ("builtins.tuple",),
    "TypeNode": ("builtins.str", "builtins.int"),  # of the keys of dictionaries
    "NdArrayNode": ("numpy.ndarray", "numpy.float64", "numpy.float32", "numpy.int64"),
}

_PROBE = Thread(repository="any/repository", number=1, title="It crashes", body="RuntimeError: out of memory")

GATE: dict[str, str] = {"bug": "defect", "question": "question", "feature": "feature"}
"""What the gate's classes are called where they are shown, in the order in which they are."""


class ThreadLabeller(Protocol):
    """The gate, as a classifier uses it: scikit-learn's interface, on threads."""

    classes_: np.ndarray

    def predict_proba(self, threads: Sequence[Thread], /) -> np.ndarray:
        """Return a row a thread, with a probability for each of `classes_`."""


class FacetLabeller(Protocol):
    """What labels facets, as a classifier uses it: scikit-learn's interface for several outputs, on documents."""

    facets_: tuple[str, ...]
    classes_: list[np.ndarray]

    def predict_proba(self, documents: Sequence[Document], /) -> list[np.ndarray]:
        """Return of each facet a row a document, with a probability for each of its `classes_`."""

    def best_guesses(self, probabilities: Sequence[np.ndarray], /) -> np.ndarray:
        """Return the best guesses that follow from probabilities, an array (documents, facets) of categories."""

    def contributions(self, document: Document, facet: str, category: str, /) -> Iterable[Any]:
        """Return what speaks for a category: see `pipeline.classify.explanation.Contribution`."""


@dataclass(frozen=True, slots=True)
class FacetPrediction:
    """What a facet of a thread is likely to be.

    `category` is the best guess, also where it `abstained`, and `probability` is that category's. A labeller may guess another
    than the likeliest one, where naming the most frequent category always would be right often and say nothing.
    """

    category: str
    probability: float
    abstained: bool
    probabilities: dict[str, float]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a thread is likely to be: probabilities of four digits that add up to 1, in the taxonomy's order."""

    repository: str
    number: int
    gate: dict[str, float]
    facets: dict[str, FacetPrediction]

    def to_json(self) -> str:
        """Write the prediction as one line of JSON."""
        value = {"repository": self.repository, "number": self.number, **self.to_dict()}
        return json.dumps(value, ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """Return what was predicted as JSON's types."""
        facets = {
            facet: {
                "category": of.category,
                "probability": of.probability,
                "abstained": of.abstained,
                "probabilities": of.probabilities,
            }
            for facet, of in self.facets.items()
        }
        return {"gate": self.gate, "facets": facets}


@dataclass(frozen=True)  # without slots, which skops does not write
class Classifier:
    """All that it takes to label a thread.

    Attributes
    ----------
    name
        Of the taxonomy, as a rule; a model file is called by it.
    categories
        Of each facet that the classifier labels, its categories: both in the taxonomy's order.
    thresholds
        Of a facet, the probability of the best guess below which it abstains; without one it never does.
    withheld
        The facets that cannot be learnt yet: of these it always abstains.
    data
        What it was trained on: the SHA-256 of each input.
    versions
        Of the packages that trained it.
    held_out
        Of each facet, what the training's rows get from models without their owners: `probabilities`, an array (rows, classes)
        in the order of the facets' `classes_`, and `truth`, the number of each row's class. Shares are corrected by it.
    seen
        Hashes of the threads that it was trained on, sorted.
    """

    name: str
    gate: ThreadLabeller
    facets: FacetLabeller
    categories: Mapping[str, tuple[str, ...]]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
    habits: Habits = NO_HABITS
    data: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    held_out: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    seen: np.ndarray = field(default_factory=lambda: hashes(()))

    def __getstate__(self) -> dict[str, Any]:
        """Give habits as the text that they are kept as: skops knows no sets that do not change."""
        return self.__dict__ | {"habits": self.habits.to_json()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what `__getstate__` gave."""
        self.__dict__.update(state, habits=parse_habits(state["habits"], "The model"))

    def has_seen(self, repository: str, number: int) -> bool:
        """Tell whether it was trained on a thread."""
        return bool(np.isin(hashes([(repository, number)]), self.seen)[0])

    def read(self, threads: Sequence[Thread]) -> list[Document]:
        """Read threads as the facets' labeller does."""
        return [read_document(thread, self.habits, most=MOST_CHARACTERS) for thread in threads]

    def predict(self, threads: Sequence[Thread], documents: Sequence[Document] | None = None) -> list[Prediction]:
        """Label threads, each by itself, in their order; `documents` are the threads as `read` gives them, if that was done."""
        if not threads:
            return []
        with _linear_algebra().limit(limits=1):  # matrices are so small that further threads would only wait for each other
            return self._predict(threads, documents or self.read(threads))

    def _predict(self, threads: Sequence[Thread], documents: Sequence[Document]) -> list[Prediction]:
        classes = list(self.gate.classes_)
        gate = _in_ten_thousandths(self.gate.predict_proba(threads)[:, [classes.index(name) for name in GATE]])
        probabilities = self.facets.predict_proba(documents)
        guesses = self.facets.best_guesses(probabilities)
        facets = {
            facet: self._facet(facet, probabilities[column], guesses[:, column])
            for facet in self.categories
            if facet in self.facets.facets_
            for column in [self.facets.facets_.index(facet)]
        }
        return [
            Prediction(
                thread.repository,
                thread.number,
                dict(zip(GATE.values(), (gate[row] / 10_000).tolist(), strict=True)),
                {facet: of[row] for facet, of in facets.items()},
            )
            for row, thread in enumerate(threads)
        ]

    def known_categories(self, facet: str) -> list[str]:
        """Return the categories of a facet that occurred in training, in the taxonomy's order."""
        known = set(self.facets.classes_[self.facets.facets_.index(facet)])
        return [category for category in self.categories[facet] if category in known]

    def _facet(self, facet: str, probabilities: np.ndarray, guesses: np.ndarray) -> list[FacetPrediction]:
        known = list(self.facets.classes_[self.facets.facets_.index(facet)])
        categories = self.known_categories(facet)
        ordered = probabilities[:, [known.index(category) for category in categories]]
        threshold = self.thresholds.get(facet, 0.0)
        found = []
        for exact, shown, guess in zip(ordered, _in_ten_thousandths(ordered) / 10_000, guesses, strict=True):
            best = categories.index(guess)
            abstains = facet in self.withheld or bool(exact[best] < threshold)
            found.append(
                FacetPrediction(str(guess), float(shown[best]), abstains, dict(zip(categories, shown.tolist(), strict=True)))
            )
        return found


@cache
def _linear_algebra() -> ThreadpoolController:
    return ThreadpoolController()


def likeliest(probabilities: Mapping[str, float]) -> str:
    """Return the category with the largest probability, of several the first."""
    return max(probabilities, key=lambda category: probabilities[category])


def hashes(threads: Iterable[tuple[str, int]]) -> np.ndarray:
    """Return a sorted array of hashes of threads, each given by its repository, whatever its case, and its number."""
    names = (f"{repository.casefold()}#{number}".encode() for repository, number in threads)
    found = [int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big", signed=True) for name in names]
    return np.unique(np.array(found, dtype=np.int64))


def in_order(taxonomy: Taxonomy, facets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return these facets and the categories of each, in the taxonomy's order: a classifier's `categories`."""
    return {facet.id: tuple(facet.ids) for facet in taxonomy.facets if facet.id in facets}


def _in_ten_thousandths(probabilities: np.ndarray) -> np.ndarray:
    """Round rows to whole ten-thousandths that still add up: those that rounding down cost most get what is left over."""
    exact = probabilities / probabilities.sum(axis=1, keepdims=True) * 10_000
    whole = np.floor(exact).astype(int)
    missing = 10_000 - whole.sum(axis=1, keepdims=True)
    rank = np.argsort(np.argsort(whole - exact, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(whole + (rank < missing))


def write_model(path: Path, classifier: Classifier) -> str:
    """Write a classifier into a file, and return the file's SHA-256.

    Raises
    ------
    RedefectError
        If the file would be larger than model files may be; there is none then, or the one that was there.
    """
    from skops import io as skops  # it takes a second to import, and most commands do without

    content = _without_chance(skops.dumps(classifier))
    if len(content) > MOST_BYTES:
        raise RedefectError(
            f"{path}: the model takes {len(content) / 1e6:.1f} MB, and may take {MOST_BYTES / 1e6:.0f}; give it fewer features."
        )
    files.write(path, content)
    return hashlib.sha256(content).hexdigest()


def read_model(path: Path, own_types: Sequence[str] = OWN_TYPES) -> Classifier:
    """Read a classifier from its file, building nothing of a type that is not listed.

    Raises
    ------
    RedefectError
        If the file is missing, damaged, of something else, of a newer format, or holds another type.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RedefectError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            _check_format(path, archive.comment.decode("ascii", "replace"))
            if len(content) > MOST_BYTES or sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES_UNPACKED:
                raise RedefectError(f"{path}: is larger than a model file may be; nothing of it was read.")
            _check_types(path, json.loads(archive.read(_SCHEMA)), own_types)
        from skops import io as skops

        classifier = skops.loads(content, trusted=list(own_types))
        if not isinstance(classifier, Classifier):
            raise TypeError
        classifier.predict([_PROBE])  # what another version wrote may lack something, which is told now and not in the middle
    except RedefectError:
        raise
    except (BadZipFile, zlib.error, NotImplementedError, EOFError, ArithmeticError, MemoryError, RecursionError, ImportError,
            LookupError, TypeError, ValueError, AttributeError):  # fmt: skip  # whatever a changed byte may lead to
        raise RedefectError(
            f"{path}: is no model file that this version of ReDefect can use, or is damaged; fetch or train it again."
        ) from None
    return classifier


def _check_format(path: Path, mark: str) -> None:
    number = mark.removeprefix(_MARK)
    if not mark.startswith(_MARK) or not number.isdecimal():
        raise RedefectError(f"{path}: is no model file of ReDefect; give one that `redefect` wrote.")
    if int(number) != _FORMAT:
        raise RedefectError(f"{path}: is a model in format {number}, and this version reads {_FORMAT}; install a newer ReDefect.")


def _check_types(path: Path, schema: Any, own_types: Sequence[str]) -> None:
    for node in _nodes(schema):
        kind, name = node["__loader__"], f"{node.get('__module__')}.{node.get('__class__')}"
        if not (name in own_types if kind == "ObjectNode" else name in _PLAIN_TYPES.get(kind, ())):
            raise RedefectError(f"{path}: holds {name} ({kind}), which no model needs and which may be harmful; it was not read.")


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a schema, whatever is between them."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("__loader__"), str):
                yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _without_chance(content: bytes) -> bytes:
    """Write what skops wrote anew, without what differs from one process to another.

    Arrays are called by their content instead of by their address, and stand once each; nodes have no address, so that each
    stands for itself; entries are sorted and have no date.
    """
    with ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
        arrays = {name: archive.read(name) for name in archive.namelist() if name != _SCHEMA}
    names = {name: f"{hashlib.sha256(array).hexdigest()[:16]}{Path(name).suffix}" for name, array in arrays.items()}
    for node in _nodes(schema):
        node.pop("__id__", None)
        if "file" in node:
            node["file"] = names[node["file"]]
    entries = {names[name]: array for name, array in arrays.items()}
    entries[_SCHEMA] = json.dumps(schema, separators=(",", ":")).encode()
    written = io.BytesIO()
    with ZipFile(written, "w") as archive:
        archive.comment = f"{_MARK}{_FORMAT}".encode()
        for name, entry in sorted(entries.items()):
            info = ZipInfo(name, _EARLIEST)
            info.create_system, info.external_attr, info.compress_type = 3, 0o644 << 16, ZIP_DEFLATED
            archive.writestr(info, entry, compresslevel=9)
    return written.getvalue()
