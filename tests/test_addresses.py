import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.addresses import fix_address, issue_address, page_address, repository_address


def test_issues_pull_requests_and_commits_have_addresses_on_github() -> None:
    assert repository_address("Owner-1/a.b_c") == "https://github.com/Owner-1/a.b_c"
    assert issue_address("o/n", 12) == "https://github.com/o/n/issues/12"
    assert fix_address("o/n#12") == "https://github.com/o/n/pull/12"
    assert fix_address("o/n@3f2a91c") == "https://github.com/o/n/commit/3f2a91c"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "o",
        "o/",
        "/n",
        "o/n/m",
        "o/..",
        "o/.",
        "-o/n",
        "javascript:alert(1)/n",
        "o/n?x",
        "o/n#1",
        "o/<b>",
        "o/n m",
        "ö/n",
        "o/n\n",
    ],
)
def test_what_github_allows_no_repository_to_be_called_has_no_address(name: str) -> None:
    assert repository_address(name) is None
    assert issue_address(name, 1) is None
    assert fix_address(f"{name}@3f2a91c") is None


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "http://x.example", "https://x.example/ y", "https://x>y", "data:,x", ""]
)
def test_what_is_no_address_of_a_page_is_none(text: str) -> None:
    assert page_address(text) is None


@given(st.text(st.sampled_from("ab/.#@<>:1f-_ \n\"'"), max_size=20))
def test_no_text_leads_to_another_host_or_out_of_its_attribute(text: str) -> None:
    for address in (repository_address(text), issue_address(text, 1), fix_address(text)):
        assert address is None or (address.startswith("https://github.com/") and not set(address) & set("<>\"' \n@"))
