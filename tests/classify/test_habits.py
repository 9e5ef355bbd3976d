import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.classify.habits import NO_HABITS, Habits, learn_habits, parse_habits
from pipeline.errors import RedefectError
from pipeline.thread import Comment, Thread

FORM = "**Describe the pond**\n{}\nKind of water: {}\n"


def thread(
    number: int, body: str, author: str | None, *, repository: str = "reed/pond", answers: tuple[str | None, ...] = ()
) -> Thread:
    comments = tuple(Comment(author=who, body="ok") for who in answers)
    return Thread(repository=repository, number=number, title="Dry", body=body, author=author, comments=comments)


def forms(repository: str, people: int = 6) -> list[Thread]:
    words = ["heron", "otter", "newt", "carp", "toad", "duck"]
    return [
        thread(i + 1, FORM.format(f"The {words[i]} left.", words[i]), words[i % people], repository=repository) for i in range(6)
    ]


def test_lines_and_prompts_that_many_people_s_issues_hold_recur() -> None:
    recurring = learn_habits(forms("reed/pond")).recurring("Reed/Pond")
    assert recurring("**Describe the pond**") == 21
    assert recurring("### describe  the pond:") == 23
    assert recurring("Kind of water: green") == len("Kind of water:")
    assert recurring("The heron left.") == 0
    assert recurring("---") == 0


def test_a_frequent_answer_to_a_prompt_is_an_answer_all_the_same() -> None:
    answers = ["built", "built", "built", "built", "built", "found", "found", "found", "found", "found", "dug"]
    recurring = learn_habits(
        thread(i, f"Pond came from (built or found): {answer}", f"person{i}") for i, answer in enumerate(answers, 1)
    ).recurring("reed/pond")
    assert recurring("Pond came from (built or found): built") == len("Pond came from (built or found):")


def test_a_greeting_recurs_whoever_is_greeted() -> None:
    recurring = learn_habits(thread(i, f"Hello @duck{i}, thank you for the pond!", f"person{i}") for i in range(1, 7)).recurring(
        "reed/pond"
    )
    assert recurring("Hello @newt, thank you for the pond!") > 0
    assert recurring("Hello newt, thank you for the pond!") == 0


def test_what_few_people_write_however_often_is_their_own() -> None:
    assert learn_habits(forms("reed/pond", people=2)) == NO_HABITS
    assert learn_habits(forms("reed/pond")[:4]) == NO_HABITS


def test_code_versions_and_output_never_recur() -> None:
    body = "```\nheron.fill()\n```\nimport heron\nheron==1.2.3\nKeyError: 'water'\n[INFO] filling"
    assert learn_habits(thread(i, body, f"person{i}") for i in range(1, 9)).lines == {}


def test_issues_whose_openers_are_unknown_are_different_people_s() -> None:
    habits = learn_habits(thread(i, "Describe the pond", None) for i in range(1, 9))
    assert habits.recurring("reed/pond")("Describe the pond") == 17


def test_a_repository_that_is_not_known_has_the_lines_that_recur_with_many_owners() -> None:
    few = learn_habits([*forms("reed/pond"), *forms("reed/lake"), *forms("moss/pond")])
    many = learn_habits([*forms("reed/pond"), *forms("fern/lake"), *forms("moss/pond")])
    assert few.recurring("elm/brook")("Describe the pond") == 0
    assert many.recurring("elm/brook")("Describe the pond") == 17


def test_who_answers_many_threads_of_others_is_a_maintainer_there_and_no_bot_is() -> None:
    threads = [thread(i, "Dry.", "ann", answers=("ann", "reed", "ben" if i == 1 else None, "stale[bot]")) for i in range(1, 7)]
    habits = learn_habits(threads)
    assert habits.is_maintainer("Reed/pond", "Reed")
    for author in ("ann", "ben", "stale[bot]", None):
        assert not habits.is_maintainer("reed/pond", author)
    assert not habits.is_maintainer("moss/pond", "reed")


def test_habits_read_back_from_their_json_which_holds_no_word_and_no_name() -> None:
    habits = learn_habits(
        [
            *forms("reed/pond"),
            *forms("fern/lake"),
            *forms("moss/pond"),
            *(thread(i, "x", "ann", answers=("zed",)) for i in range(7, 13)),
        ]
    )
    text = habits.to_json()
    assert parse_habits(text, "here") == habits
    assert parse_habits(text, "here").to_json() == text
    for word in ("describe", "Describe", "water", "zed"):
        assert word not in text


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_any_line_can_recur(lines: list[str]) -> None:
    habits = learn_habits(thread(i, "\n".join(lines), f"person{i}") for i in range(1, 7))
    assert parse_habits(habits.to_json(), "here") == habits
    for line in lines:
        assert 0 <= habits.recurring("reed/pond")(line) <= len(line)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 9}', '{"format": 1, "everywhere": ["x"], "lines": {}, "maintainers": {}}']
)
def test_a_file_that_holds_no_habits_is_one_sentence(text: str) -> None:
    with pytest.raises(RedefectError, match=r"^habits\.json: holds no habits of repositories in format 1; learn them again\.$"):
        parse_habits(text, "habits.json")


def test_no_habits_are_habits() -> None:
    assert Habits() == NO_HABITS == parse_habits(NO_HABITS.to_json(), "here")
