import pytest

from pipeline.collect.github.budget import TOKEN_VARIABLES, Budget, Identity, identities, tokens_from
from pipeline.errors import RedefectError

SECRET = "ghp_recognisable"


def test_tokens_come_from_the_first_variable_that_is_set() -> None:
    environment = dict(zip(TOKEN_VARIABLES, ("one", "two", "three"), strict=True))
    found = []
    for variable in TOKEN_VARIABLES:
        found.append(tokens_from(environment))
        environment[variable] = "  "
    assert found == [["one"], ["two"], ["three"]]
    assert tokens_from(environment) == []
    assert tokens_from({}) == []


def test_a_variable_that_holds_nothing_but_separators_is_not_set() -> None:
    assert tokens_from({TOKEN_VARIABLES[0]: " , ", TOKEN_VARIABLES[1]: "two"}) == ["two"]


def test_tokens_are_separated_by_commas_or_space_and_each_taken_once() -> None:
    assert tokens_from({TOKEN_VARIABLES[0]: "b, a\n\tb,,c "}) == ["b", "a", "c"]


@pytest.mark.parametrize("character", ["\0", "\x1b", "é", "\N{ZERO WIDTH SPACE}", "“"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(character: str) -> None:
    with pytest.raises(RedefectError) as refused:
        tokens_from({TOKEN_VARIABLES[1]: f"fine {SECRET}{character}x"})
    assert str(refused.value) == "Token 2 in GITHUB_TOKEN holds a character that no token has; copy it anew."


def test_no_text_of_an_identity_holds_its_token() -> None:
    people = identities([SECRET, f"{SECRET}2"])
    for text in (repr(people), str(people), repr([vars_of(person) for person in people])):
        assert SECRET not in text
    assert [person.name for person in people] == ["token 1 of 2", "token 2 of 2"]
    headers: dict[str, str] = {}
    people[1].authenticate(headers)
    assert f"{SECRET}2" in headers["Authorization"]


def vars_of(person: Identity) -> list[str]:
    return [repr(person.name), repr(person.auth), repr(person.budgets)]


def test_without_tokens_nobody_in_particular_asks() -> None:
    (person,) = identities([])
    headers: dict[str, str] = {}
    person.authenticate(headers)
    assert headers == {}


def test_what_is_left_is_what_the_headers_say_until_the_window_ends() -> None:
    (person,) = identities([])
    assert person.budget("core").left(now=0) == float("inf")
    said = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "7", "x-ratelimit-reset": "1000"}
    person.note(said, "core")
    assert [person.budget("core").left(now) for now in (999, 1000)] == [7, 60]
    person.note(said | {"x-ratelimit-remaining": "0", "x-ratelimit-resource": "search"}, "core")
    assert [person.budget(resource).left(999) for resource in ("core", "search", "graphql")] == [7, 0, float("inf")]
    person.note({}, "core")
    assert person.budget("core").left(999) == 7


def test_a_server_that_limits_to_nothing_is_asked_all_the_same() -> None:
    assert Budget(limit=0, remaining=0, reset_at=10.0).left(now=10.0) > 0  # else its window would be waited for without an end
