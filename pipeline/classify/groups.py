"""Which threads may never be parted between training and test, and the folds that keep to it.

Three things give a test away: another row of the same thread, a thread that was posted twice, and the form that a project
makes its reporters fill in. The folds here are scikit-learn's, on group numbers that keep all three on one side.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

from pipeline.classify.parts import KINDS
from pipeline.classify.text import Document
from pipeline.errors import RedefectError

_LEAST_ALIKE = 0.5
"""Jaccard similarity from which two threads are near-duplicates."""

_SHINGLE = 3
_WORD = re.compile(r"\w+")
_WRITTEN = [kind for kind in KINDS if kind not in ("quote", "boilerplate")]

_SHORTEST_LINE = 3
_FEWEST_THREADS = 2
_FEWEST_LINES = 3
_LEAST_SHARE = 0.1
"""Of the recurring lines of the repository that has fewer, that two repositories with one form have in common."""

_EVERYBODYS = 3
"""Owners with whom a line recurs before it is nobody's own: the tracker offers forms ready-made."""

_TOO_FEW = "Nothing is left to train or to test on; evaluation needs labelled threads of several repositories."


class Fold(NamedTuple):
    """The places of the rows to train on, and of those to test on."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, slots=True)
class Groups:
    """What belongs together, of each row.

    Attributes
    ----------
    duplicates
        A number that rows of one thread, and of near-duplicates of it, share.
    families
        A number that the rows of a repository, and of its relatives, share.
    names
        Of each family, the repositories in it, case folded.
    """

    duplicates: np.ndarray
    families: np.ndarray
    names: tuple[tuple[str, ...], ...]

    @property
    def merged(self) -> list[tuple[str, ...]]:
        """The families of more than one repository."""
        return [names for names in self.names if len(names) > 1]


def find_groups(documents: Sequence[Document]) -> Groups:
    """Find what belongs together among rows, a document a row."""
    families, names = _families(documents)
    return Groups(_duplicates(documents), families, names)


def leave_one_repository_out(groups: Groups) -> Iterator[Fold]:
    """Yield a fold for each family of repositories; near-duplicates of what is tested are not trained on."""
    _at_most(2, groups.families)
    for train, test in LeaveOneGroupOut().split(groups.families, groups=groups.families):
        yield checked(without_duplicates(Fold(train, test), groups), groups.duplicates, groups.families)


def stratified(groups: Groups, labels: pd.DataFrame, *, folds: int = 5, repeats: int = 5, seed: int) -> Iterator[Fold]:
    """Yield the folds of repeated cross-validation: each repeat tests each row once.

    One model learns all facets together, so that one split serves them all. It is balanced by each row's rarest category, be it
    of whichever facet: how common categories fall varies little by chance, how rare ones fall varies much.
    """
    folds = _at_most(folds, groups.duplicates)
    strata = _strata(labels, folds)
    for repeat in range(repeats):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + repeat)
        for train, test in splitter.split(strata, strata, groups.duplicates):
            yield checked(Fold(train, test), groups.duplicates)


def several_repositories_out(
    groups: Groups, labels: pd.DataFrame, *, folds: int = 5, repeats: int = 1, seed: int
) -> Iterator[Fold]:
    """Yield folds that leave out several families at once: fewer trainings than leaving out each, on less."""
    folds = _at_most(folds, groups.families)
    strata = _strata(labels, folds)
    for repeat in range(repeats):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + repeat)
        for train, test in splitter.split(strata, strata, groups.families):
            yield checked(without_duplicates(Fold(train, test), groups), groups.duplicates, groups.families)


def without_duplicates(fold: Fold, groups: Groups) -> Fold:
    """Leave out of the training what has a near-duplicate in the test."""
    known = np.isin(groups.duplicates[fold.train], groups.duplicates[fold.test])
    return Fold(fold.train[~known], fold.test)


def checked(fold: Fold, *groupings: np.ndarray) -> Fold:
    """Return a fold in which no group is on both sides. Whatever is scored passes here.

    Raises
    ------
    RedefectError
        If a group is on both sides, or a side is empty.
    """
    for groups in groupings:
        if leaked := np.intersect1d(groups[fold.train], groups[fold.test]).size:
            raise RedefectError(f"{leaked} groups of threads are in both training and test; what this fold scores means nothing.")
    if not len(fold.train) or not len(fold.test):
        raise RedefectError(_TOO_FEW)
    return fold


def _at_most(folds: int, numbers: np.ndarray) -> int:
    """Return how many folds there can be of groups that are kept together."""
    if (count := len(np.unique(numbers))) < 2:
        raise RedefectError(_TOO_FEW)
    return min(folds, count)


def _duplicates(documents: Sequence[Document]) -> np.ndarray:
    """Give one number to the rows of one thread, and of near-duplicates by the words of title and body.

    Comments are left out: two postings of one report are answered differently. The search is exact. Two sets can only be as
    alike as asked for if the rarest shingles of one, as many as may be missing in the other and one more, meet those of the
    other (Chaudhuri et al. 2006), and rare shingles seldom meet.
    """
    threads = pd.factorize(pd.Series([(d.repository.casefold(), d.number) for d in documents]))[0]
    counted = HashingVectorizer(analyzer=_shingles, n_features=2**31 - 1, norm=None, alternate_sign=False)
    found = counted.transform(documents)
    columns, places = np.unique(found.indices, return_inverse=True)
    shingles = sparse.csr_array((np.ones(len(places)), places, found.indptr), shape=(len(documents), max(1, len(columns))))
    size = np.diff(shingles.indptr)
    row = np.repeat(np.arange(len(documents)), size)
    order = np.lexsort((places, np.bincount(places, minlength=1)[places] if len(places) else places, row))
    rank = np.arange(len(places)) - shingles.indptr[row]
    may_differ = size - np.ceil(_LEAST_ALIKE * size).astype(int) + 1
    kept = order[rank < may_differ[row]]
    rare = sparse.csr_array((np.ones(len(kept)), (row[kept], places[kept])), shape=shingles.shape)
    first, second = sparse.triu(rare @ rare.T, k=1).nonzero()
    shared = np.asarray(shingles[first].multiply(shingles[second]).sum(axis=1)).ravel()
    alike = shared >= _LEAST_ALIKE * (size[first] + size[second] - shared)
    return _joined(len(documents), [(first[alike], second[alike]), _same(threads)])


def _shingles(document: Document) -> list[str]:
    words = _WORD.findall(document.text(_WRITTEN, ["title", "body"]).lower())
    return [" ".join(words[i : i + _SHINGLE]) for i in range(max(1, len(words) - _SHINGLE + 1))] if words else []


def _families(documents: Sequence[Document]) -> tuple[np.ndarray, tuple[tuple[str, ...], ...]]:
    """Give one number to the rows of a repository, and of those that have a form in common with it, or its name.

    Two repositories have a form in common if at least three lines, and a tenth of the lines that recur in one of the two, recur
    in both (in two threads or more of each) and not with a third owner. The same name under two owners is that of a fork, a
    move or a namesake.
    """
    repositories = np.array([document.repository.casefold() for document in documents])
    names, own = np.unique(repositories, return_inverse=True)
    forms = _forms(documents)
    owners: dict[str, set[str]] = defaultdict(set)
    for name, lines in forms.items():
        for line in lines:
            owners[line].add(name.partition("/")[0])

    def related(a: str, b: str) -> bool:
        shared = sum(len(owners[line]) < _EVERYBODYS for line in forms[a] & forms[b])
        fewer = min(len(forms[a]), len(forms[b]))
        return a.partition("/")[2] == b.partition("/")[2] or shared >= max(_FEWEST_LINES, _LEAST_SHARE * fewer)

    pairs = [pair for pair in combinations(range(len(names)), 2) if related(*names[list(pair)])]
    first, second = np.array(pairs, int).reshape(-1, 2).T
    family = _joined(len(names), [(first, second)])
    members = tuple(tuple(str(name) for name in names[family == number]) for number in range(family.max(initial=-1) + 1))
    return family[own], members


def _forms(documents: Sequence[Document]) -> dict[str, set[str]]:
    """Return of each repository the lines that recur in what people wrote or filled in."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for (name, _), document in {(d.repository.casefold(), d.number): d for d in documents}.items():
        text = document.text(["prose", "boilerplate"], ["body"]).lower()
        words = [_WORD.findall(line) for line in text.split("\n")]
        counted[name].update({" ".join(line) for line in words if len(line) >= _SHORTEST_LINE})
    return {name: {line for line, n in lines.items() if n >= _FEWEST_THREADS} for name, lines in counted.items()}


def _same(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs that link all places of a number with its first."""
    first = np.full(numbers.max(initial=-1) + 1, len(numbers))
    np.minimum.at(first, numbers, np.arange(len(numbers)))
    return np.arange(len(numbers)), first[numbers]


def _joined(n: int, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Give each of n things a number, the same to those that pairs link, directly or through others."""
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    links = sparse.coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1])


def _strata(labels: pd.DataFrame, folds: int) -> np.ndarray:
    """Return of each row its rarest category that is common enough to be in each fold."""
    often = {facet: labels[facet].value_counts() for facet in labels.columns}

    def stratum(row: tuple[Any, ...]) -> str:
        said = [(facet, value) for facet, value in zip(labels.columns, row, strict=True) if pd.notna(value)]
        ranked = sorted((int(often[facet][value]), f"{facet} {value}") for facet, value in said)
        return next((name for count, name in ranked if count >= folds), "")

    strata = np.array([stratum(row) for row in labels.itertuples(index=False, name=None)])
    names, size = np.unique(strata, return_counts=True)
    strata[np.isin(strata, names[size < folds])] = names[size.argmax()]
    return strata
