"""The replica as clients see it that were written for GitHub."""

from collections.abc import Iterator

import pytest
from github import Auth, Github, GithubException
from served import at, serve, thread

from pipeline.replica import Limits, Replica, World


@pytest.fixture
def github(replica: Replica) -> Iterator[Github]:
    with Github(auth=Auth.Token("t0ken"), base_url=replica.url, per_page=3, retry=None, seconds_between_requests=0) as github:
        yield github


def test_pygithub_reads_all_issues_and_comments(github: Github) -> None:
    repository = github.get_repo("acme/anvil")
    assert (repository.stargazers_count, repository.fork, repository.open_issues_count) == (4321, False, 2)
    issues = list(repository.get_issues(state="all", sort="created", direction="asc"))
    assert [(issue.number, issue.pull_request is not None) for issue in issues] == [*((n, False) for n in range(1, 8)), (8, True)]
    assert issues[0].created_at == at(1)
    assert [comment.body for comment in issues[4].get_comments()] == [f"Comment {i}" for i in range(1, 6)]
    assert [label.name for label in issues[2].labels] == ["bug", "help wanted"]
    assert sum(1 for _ in repository.get_issues_comments()) == 15


def test_pygithub_follows_a_renamed_repository(world: World, github: Github) -> None:
    world.rename("acme/anvil", "acme/hammer")
    assert github.get_repo("acme/anvil").full_name == "acme/hammer"
    assert github.get_repo("acme/anvil").get_issue(3).title == "Crash 3"


def test_pygithub_searches_and_asks_for_its_limits(github: Github) -> None:
    assert [found.full_name for found in github.search_repositories("stars:>1000", sort="stars")] == ["acme/anvil", "acme/rocket"]
    assert github.search_issues("repo:acme/anvil is:issue is:open").totalCount == 1
    assert github.get_rate_limit().resources.core.limit == 5000
    assert github.get_user("ada").login == "ada"


def test_pygithub_tells_what_is_gone_and_what_is_spent(world: World, github: Github) -> None:
    world.delete_issue("acme/anvil", 1)
    with pytest.raises(GithubException) as gone:
        github.get_repo("acme/anvil").get_issue(1)
    assert gone.value.status == 410
    world.add([thread(1, "new/one")])
    with serve(world, Limits(core=0)) as spent:
        with Github(auth=Auth.Token("t0ken"), base_url=spent.url, retry=None) as poor, pytest.raises(GithubException) as refused:
            poor.get_repo("new/one")
        assert refused.value.status == 403
