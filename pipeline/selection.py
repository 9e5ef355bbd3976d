"""The selection of issues: which of those in the store meet a study's criteria, and which of these its rules draw.

Nothing here reads a store or depends on its order: the same issues, criteria and seed give the same sample anywhere.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from statistics import NormalDist

from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.study import Selection

CRITERIA, MOST_COMMENTED, RANDOM = "criteria", "most-commented", "random"
RULES = (CRITERIA, MOST_COMMENTED, RANDOM)
"""The rules by which an issue comes into a sample that was drawn."""


@dataclass(frozen=True, slots=True)
class CandidateRepository:
    """What the selection asks of a repository; `None` means not known."""

    name: str
    kind: str | None = None
    architecture: str | None = None
    stars: int | None = None
    closed_issues: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the selection asks of an issue; `None` means not known. Its stratum is the kind of its repository."""

    issue: IssueReference
    pull_request: bool = False
    state: str | None = None
    created_at: datetime | None = None
    comment_count: int | None = None
    tracker_labels: tuple[str, ...] | None = None
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the funnel: what was asked, and what was left of issues, and of repositories that still have some.

    `dropped` counts the issues that the step took away; it is None for what a rule drew, since two rules may draw one issue.
    `unknown` counts the issues for which nothing was known to answer by. A criterion of repositories keeps them
    (`unknown_kept`); any other takes them away, and they are among those `dropped`; a rule that draws cannot draw them.
    """

    criterion: str
    issues: int
    repositories: int
    dropped: int | None = None
    unknown: int = 0
    unknown_kept: bool = False


@dataclass(frozen=True, slots=True)
class DrawnIssue:
    """An issue in the sample, by one rule; `why` tells it as a sentence. Only a random draw has a seed."""

    issue: IssueReference
    rule: str
    stratum: str | None
    seed: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sample and how it came about.

    `steps` begins with the store and ends with the sample; `kept` holds the stratum of each issue that met all criteria;
    `sample` is sorted by repository (case folded), number and rule, with a row for each rule that an issue is in by.
    """

    steps: tuple[Step, ...]
    kept: dict[IssueReference, str | None]
    sample: tuple[DrawnIssue, ...]


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How far a sample of a stratum carries.

    `population` counts the issues kept, `needed` how many of them the wanted margin asks for, and `margin` is the one that
    those `drawn` reach (NaN for none) if they are taken for a random sample, which the most commented are not.
    """

    stratum: str
    population: int
    drawn: int
    needed: int
    margin: float


@dataclass(frozen=True, slots=True)
class _Criterion:
    words: str
    holds: Callable[[Candidate], bool | None]
    of_repositories: bool = False


def select_issues(
    selection: Selection, repositories: Iterable[CandidateRepository], candidates: Iterable[Candidate], seed: int
) -> Drawn:
    """Keep the candidates that meet all criteria, and draw from them.

    Criteria apply in the order of `Selection`, each only when it is set. A repository whose number is not known is kept: a
    study names its repositories by hand, so the number is there to check it. An issue about which a criterion knows nothing
    is dropped. An issue without a fix has none that is known, which is all that can be said of it.

    Drawing rules:

    - most-commented: the `most_commented` issues of each repository with the most comments; of equals, the lower number.
    - random: of each of the `largest_zoos` (zoos by issues kept, then by name; all when not given), a simple random sample of
      `random_share_of_largest_zoos`, rounded half up, of all issues kept there, at least one. It does not leave out what
      the other rule drew: so each kept issue of such a zoo has the same, known probability to be in it. An issue that both
      rules draw is in by both.
    - criteria: without a drawing rule, all that are kept.

    The random draw gives each issue a number that depends on the seed, the repository's name (whatever its case) and its
    number only (SHA-256), and takes the smallest: a simple random sample by permanent random numbers (Ohlsson 1995). So an
    issue that comes into the store displaces at most one other of its repository, and a larger share contains a smaller one.

    Parameters
    ----------
    repositories
        Those of the candidates, each once, whatever the case of its name.
    """
    by_name = {r.name.casefold(): r for r in repositories}
    left = sorted(candidates, key=lambda c: _place(c.issue))
    steps = [Step("in the store", len(left), _repositories(c.issue for c in left), dropped=0)]
    for criterion in [*_criteria_of_repositories(selection, by_name), *_criteria_of_issues(selection)]:
        answers = [(candidate, criterion.holds(candidate)) for candidate in left]
        before = len(left)
        left = [c for c, holds in answers if holds or (holds is None and criterion.of_repositories)]
        unknown = sum(holds is None for _, holds in answers)
        count = _repositories(c.issue for c in left)
        steps.append(Step(criterion.words, len(left), count, before - len(left), unknown, criterion.of_repositories))
    kept = {c.issue: by_name[c.issue.repository.casefold()].kind for c in left}
    sample: list[DrawnIssue] = []
    if selection.most_commented is not None:
        drawn = list(_most_commented(left, kept, selection.most_commented))
        words = f"drawn: the {selection.most_commented} most commented of each repository"
        unknown = sum(c.comment_count is None for c in left)
        steps.append(Step(words, len(drawn), _repositories(d.issue for d in drawn), unknown=unknown))
        sample += drawn
    if selection.random_share_of_largest_zoos > 0:
        share, zoos = selection.random_share_of_largest_zoos, selection.largest_zoos
        drawn = list(_random(kept, share, zoos, seed))
        words = f"drawn: {100 * share:g} % at random of " + ("each zoo" if zoos is None else f"the {zoos} largest zoos")
        steps.append(Step(words, len(drawn), _repositories(d.issue for d in drawn)))
        sample += drawn
    if selection.most_commented is None and selection.random_share_of_largest_zoos == 0:
        sample = [DrawnIssue(issue, CRITERIA, stratum, None, "meets all criteria") for issue, stratum in kept.items()]
    sample.sort(key=lambda d: (*_place(d.issue), d.rule))
    issues = {d.issue for d in sample}
    steps.append(Step("in the sample", len(issues), _repositories(issues), dropped=len(left) - len(issues)))
    return Drawn(tuple(steps), kept, tuple(sample))


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a repository that was found meets a study's criteria, and if not, which it fails."""

    repository: CandidateRepository
    fails: str | None


def select_repositories(selection: Selection, found: Iterable[CandidateRepository]) -> list[Decision]:
    """Decide on repositories by a study's criteria, in the order of these; sorted by architecture, stars and name.

    Of those found twice, what the first search says of them counts.
    """
    left: dict[str, CandidateRepository] = {}
    for repository in found:
        left.setdefault(repository.name.casefold(), repository)
    failed: list[Decision] = []
    for what, minimum in (("stars", selection.minimum_stars), ("closed_issues", selection.minimum_closed_issues)):
        few = {name for name, r in left.items() if (number := getattr(r, what)) is not None and number < minimum}
        failed += [Decision(left.pop(name), f"fewer than {minimum} {what.replace('_', ' ')}") for name in sorted(few)]
    if limit := selection.repositories_per_architecture:
        first = _first_of_architectures(list(left.values()), limit)
        words = f"{limit} of its architecture have more stars"
        failed += [Decision(r, words) for name, r in left.items() if first[name] is False]
        left = {name: r for name, r in left.items() if first[name] is not False}
    decisions = [*failed, *(Decision(r, None) for r in left.values())]
    return sorted(
        decisions,
        key=lambda d: (d.repository.architecture or "", -(d.repository.stars or 0), d.repository.name.casefold()),
    )


def sample_size(population: int, margin: float, confidence: float = 0.95, share: float = 0.5) -> int:
    """Return how many of a population to draw at random to know a share of it within a margin.

    Cochran (1977, Sampling Techniques, 3rd ed., ch. 4): n0 = z² p (1 - p) / e², and n = n0 / (1 + (n0 - 1) / N) of a finite
    population, rounded up.

    Parameters
    ----------
    share
        The share expected; one half asks for the most.

    Raises
    ------
    RedefectError
        If margin or confidence are not between 0 and 1.
    """
    for name, value in (("margin", margin), ("confidence", confidence)):
        if not 0 < value < 1:
            raise RedefectError(f"A {name} of {value} cannot be: give one between 0 and 1, such as 0.05 for 5 %.")
    if population == 0:
        return 0
    unlimited = NormalDist().inv_cdf((1 + confidence) / 2) ** 2 * share * (1 - share) / margin**2
    return min(population, max(1, math.ceil(unlimited / (1 + (unlimited - 1) / population))))


def margin_reached(population: int, drawn: int, confidence: float = 0.95, share: float = 0.5) -> float:
    """Return within which margin a random sample tells a share of its population, the inverse of `sample_size`; NaN for none."""
    if drawn == 0:
        return math.nan
    if drawn == population:
        return 0.0
    correction = (population - drawn) / (population - 1)
    return NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(share * (1 - share) / drawn * correction)


def sample_sizes(drawn: Drawn, margin: float, confidence: float = 0.95) -> list[SampleSize]:
    """Return how far a sample carries in each stratum, sorted, and in all of them."""
    population = Counter(stratum or "not known" for stratum in drawn.kept.values())
    of_sample = Counter(drawn.kept[issue] or "not known" for issue in {d.issue for d in drawn.sample})
    counts = [(stratum, population[stratum], of_sample[stratum]) for stratum in sorted(population)]
    counts.append(("all", population.total(), of_sample.total()))
    return [
        SampleSize(stratum, of, n, sample_size(of, margin, confidence), margin_reached(of, n, confidence))
        for stratum, of, n in counts
    ]


def _criteria_of_repositories(selection: Selection, by_name: dict[str, CandidateRepository]) -> Iterator[_Criterion]:
    """Yield what repositories must meet, as criteria of their issues."""
    left = list(by_name.values())
    if minimum := selection.minimum_stars:
        enough = {name: None if r.stars is None else r.stars >= minimum for name, r in by_name.items()}
        yield _criterion_of_repositories(f"repository has at least {minimum} stars", enough)
        left = [r for r in left if enough[r.name.casefold()] is not False]
    if minimum := selection.minimum_closed_issues:
        enough = {name: None if r.closed_issues is None else r.closed_issues >= minimum for name, r in by_name.items()}
        yield _criterion_of_repositories(f"repository has at least {minimum} closed issues", enough)
        left = [r for r in left if enough[r.name.casefold()] is not False]
    if limit := selection.repositories_per_architecture:
        yield _criterion_of_repositories(
            f"at most {limit} solo repositories of an architecture, those with the most stars",
            _first_of_architectures(left, limit),
        )


def _criterion_of_repositories(words: str, answers: dict[str, bool | None]) -> _Criterion:
    return _Criterion(words, lambda c: answers.get(c.issue.repository.casefold(), False), of_repositories=True)


def _first_of_architectures(repositories: list[CandidateRepository], limit: int) -> dict[str, bool | None]:
    """Tell of each repository whether it is among the first of its architecture; None if its architecture is not known."""
    count: Counter[str] = Counter()
    answers: dict[str, bool | None] = {}
    for r in sorted(repositories, key=lambda r: (-(r.stars or 0), r.name.casefold())):
        if r.kind == "zoo":
            answers[r.name.casefold()] = True
        elif r.architecture is None:
            answers[r.name.casefold()] = None
        else:
            count[r.architecture] += 1
            answers[r.name.casefold()] = count[r.architecture] <= limit
    return answers


def _criteria_of_issues(selection: Selection) -> Iterator[_Criterion]:
    if not selection.pull_requests:
        yield _Criterion("is no pull request", lambda c: not c.pull_request)
    if (state := selection.state) != "all":
        yield _Criterion(f"is {state}", lambda c: None if c.state is None else c.state == state)
    if selection.with_fix:
        yield _Criterion("has a known fix", lambda c: c.fix is not None)
    if names := selection.labels_include:
        include = {name.casefold() for name in names}
        yield _Criterion(f"is labelled {' or '.join(names)}", lambda c: _carries(c, include))
    if names := selection.labels_exclude:
        exclude = {name.casefold() for name in names}
        yield _Criterion(
            f"is not labelled {' or '.join(names)}", lambda c: None if c.tracker_labels is None else not _carries(c, exclude)
        )
    if minimum := selection.minimum_comments:
        yield _Criterion(
            f"has at least {minimum} comments", lambda c: None if c.comment_count is None else c.comment_count >= minimum
        )
    if begin := selection.opened_from:
        yield _Criterion(
            f"was opened on {begin} or later", lambda c: None if c.created_at is None else _day(c.created_at) >= begin
        )
    if end := selection.opened_until:
        yield _Criterion(f"was opened on {end} or earlier", lambda c: None if c.created_at is None else _day(c.created_at) <= end)


def _carries(candidate: Candidate, labels: set[str]) -> bool | None:
    if candidate.tracker_labels is None:
        return None
    return any(label.casefold() in labels for label in candidate.tracker_labels)


def _day(time: datetime) -> date:
    return time.astimezone(UTC).date()


def _most_commented(left: Sequence[Candidate], kept: dict[IssueReference, str | None], limit: int) -> Iterator[DrawnIssue]:
    """Draw the most commented of each repository; an issue whose comments were never counted has no rank."""
    ranks: Counter[str] = Counter()
    counted = [(c.comment_count, c.issue) for c in left if c.comment_count is not None]
    for comments, issue in sorted(counted, key=lambda pair: (-pair[0], pair[1].number)):
        ranks[issue.repository.casefold()] += 1
        rank = ranks[issue.repository.casefold()]
        if rank <= limit:
            why = f"rank {rank} by comments ({comments}) in {issue.repository}"
            yield DrawnIssue(issue, MOST_COMMENTED, kept[issue], None, why)


def _random(kept: dict[IssueReference, str | None], share: float, zoos: int | None, seed: int) -> Iterator[DrawnIssue]:
    of_zoos: dict[str, list[IssueReference]] = {}
    for issue, stratum in kept.items():
        if stratum == "zoo":
            of_zoos.setdefault(issue.repository.casefold(), []).append(issue)
    for _, issues in sorted(of_zoos.items(), key=lambda zoo: (-len(zoo[1]), zoo[0]))[:zoos]:
        # The share as written, not as a binary fraction: 0.29 of 50 is 14.5, which rounds up.
        size = max(1, int((Decimal(str(share)) * len(issues)).to_integral_value(ROUND_HALF_UP)))
        for issue in sorted(issues, key=lambda issue: permanent_number(issue, seed))[:size]:
            why = f"drawn {size} of {len(issues)} at random in {issue.repository}, seed {seed}"
            yield DrawnIssue(issue, RANDOM, "zoo", seed, why)


def permanent_number(issue: IssueReference, seed: int) -> bytes:
    """Return a number of an issue that is as good as random and always the same for a seed: drawing is sorting by it."""
    return hashlib.sha256(f"{seed} {issue.repository.casefold()}#{issue.number}".encode()).digest()


def _place(issue: IssueReference) -> tuple[str, int]:
    return issue.repository.casefold(), issue.number


def _repositories(issues: Iterable[IssueReference]) -> int:
    return len({issue.repository.casefold() for issue in issues})
