r"""People out of packages: pseudonyms for logins, placeholders for what else tells who wrote a text, and the check of both.

What this is worth: pseudonyms keep names out of a package, its tables and all that is made of them. They do not hide who opened
an issue from somebody who looks the issue up on its tracker, which a reference invites to do.

Not recognised, and so not redacted: names in running text and below letters, logins without @ and owners of what is linked to,
telephone numbers without + (10 digits are a number of anything), private network addresses, and a user's name in paths below no
home (`/scratch/USER`).
"""

import base64
import hashlib
import hmac
import io
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.cloudant import CloudantDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString, HexHighEntropyString
from detect_secrets.plugins.ibm_cloud_iam import IbmCloudIamDetector
from detect_secrets.plugins.ibm_cos_hmac import IbmCosHmacDetector
from detect_secrets.plugins.ip_public import IPPublicDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.keyword import KeywordDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.softlayer import SoftlayerDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

import pipeline
from pipeline.cells import rearm
from pipeline.package_tables import Field, tables

_PSEUDONYM = r"person:[a-z2-7]{20}"
_IS_PSEUDONYM = re.compile(_PSEUDONYM)


class Pseudonymiser:
    """`person:` and 20 characters in place of a login, the same for the same login wherever it stands.

    They come from HMAC-SHA-256 (RFC 2104) of the login, which nobody can undo or try out without the key; 100 bits, so that two
    people share one with a probability of less than 10^-18 among a million. Bots are treated like people: what tells them apart
    is a login like any other, and some bots work under those of people.

    Parameters
    ----------
    key
        See `pipeline.pseudonym_key`.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def name(self, login: str | None) -> str | None:
        """Return the pseudonym of a login, whatever its case; None and what is a pseudonym already stay what they are."""
        return None if login is None else self._name(login)

    def _name(self, login: str) -> str:
        if _IS_PSEUDONYM.fullmatch(login):
            return login
        digest = hmac.new(self._key, login.casefold().encode(), hashlib.sha256).digest()
        return "person:" + base64.b32encode(digest).decode()[:20].lower()


def _placeholder(kind: str) -> str:
    return f"[redacted:{kind}]"


_COUNTED = re.compile(rf"\[redacted:([a-z-]+)\]|({_PSEUDONYM})(?![a-z2-7])")


def redactions(text: str) -> Counter[str]:
    """Count by kind what stands in a text in place of something else: the placeholders of `redact`, and pseudonyms as `login`.

    Placeholders are unlike anything that people write (`[name]` and `[token]` they do write), so that a text that was redacted
    once tells the same for ever.
    """
    return Counter(match[1] or "login" for match in _COUNTED.finditer(text))


# No pattern takes a back quote: what is code to the next pattern, and to the next run, must not depend on the one before. None
# can run for longer than linear time: repetitions are bounded, possessive, or stopped by a character that they do not hold.

_AT = re.compile("[@＠﹫]")
_UNSEEN = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff"
_MAIL = re.compile(
    rf"(?<![\w.+%'{_UNSEEN}-])(?!git[@＠﹫])[\w.+%'{_UNSEEN}-]{{1,256}}[@＠﹫](?:[\w{_UNSEEN}-]{{1,63}}[.．。]){{1,6}}"
    r"(?!(?:png|jpe?g|gif|svg|txt|pth|zip|tar|gz|git|cpp|h|js|json|ya?ml|html?|plt|dex|apk|jar|block)\b)[^\W\d_]{2,24}(?!\w)"
)
_MAIL_SPELT = re.compile(
    r"(?<![\w.+-])[\w.+-]{2,64}[ ]?[\[({]\s?(?:at|AT|@)\s?[\])}][ ]?[\w-]{1,63}"
    r"(?:(?:\.|[ ]?[\[({]\s?(?:dot|DOT|\.)\s?[\])}][ ]?)[\w-]{1,63}){1,4}"
    r"|(?<![\w.+-])[\w.+-]{2,64} at [\w-]{2,63} dot (?:com|org|net|edu)\b"
)
_MAY_BE_SPELT = re.compile(r"[\[({]\s?(?:at|AT|@)\s?[\])}]| dot (?:com|org|net|edu)\b")
_BEFORE_MAIL = r"(?=[ \t]{0,3}(?:(?:<|&lt;|\[mailto:|\[)\[?\[redacted:e-mail\]|(?:<|&lt;)?\*{3}@\*{3}))"
_CAPITAL_WORDS = r"(?![AP]M\b)(?![a-z\d_])\w[\w.'’-]{0,30}(?:[ \t](?![a-z\d_])\w[\w.'’-]{0,30})"
_NAME_BEFORE_MAIL = re.compile(
    rf"(?<![\w.'’-])(?:\"[^\"\n<>`\[\]]{{1,60}}\"|&quot;[^&\n<>`\[\]]{{1,60}}&quot;|{_CAPITAL_WORDS}{{0,4}}){_BEFORE_MAIL}"
    rf"|(?:(?<=From:[ ])|(?<=Author:[ ])|(?<=-by:[ ]))[\w.'’-][\w.'’, -]{{0,60}}?{_BEFORE_MAIL}"
    r"|(?<=[,:][ ])[\w.'’-]{1,30}(?:[ \t][\w.'’-]{1,30}){0,3}(?=[ ]{0,3}(?:(?:<|&lt;)\[?\[redacted:e-mail\]|(?:<|&lt;)?\*{3}@))"
)
_NAME_OF_QUOTED = re.compile(
    r"(?m)(^[> \t]{0,20}+On [^\n<`\[\]]{4,60}, )[^\W\d_][^\n,:<>\[\]`@]{0,60}(?= wrote:)"
    rf"|(^[> \t]{{0,20}}+){_CAPITAL_WORDS}{{1,3}}(?= wrote:[ \t]*$)"
)

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^`-]|-(?!----))*+-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|(?:\s+[A-Za-z0-9+/=]{20,}+)*+)"
)
_USER_INFO = re.compile(r"(?<=://)(?!git@)([^\s/@`\"'<>\[\](){}#?:]{0,100}+)(:[^\s/@`\"'<>\[\](){}#?]{0,200}+)?@(?=\w)")
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_-])(?:gh[a-z]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[a-z]-[\w-]{10,}|xapp-[\w-]{20,}"
    r"|AIza[\w-]{30,}|ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,}|sk-(?:proj-|ant-|or-|svcacct-)[\w-]{20,}|sk-[A-Za-z0-9]{32,}"
    r"|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|dckr_pat_[\w-]{20,}|eyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]+)?|\d{8,10}:AA[\w-]{33})"
)
# In base64 there is + and /, in what is made for addresses - and _: no token holds both, and paths and names of variables do.
_KEYED = (
    r"(?=[A-Za-z+/_=%-]{0,60}\d[A-Za-z+/_=%-]{0,60}\d)(?:[A-Za-z0-9+/=%]{20,}+(?![_-])|[A-Za-z0-9_=%-]{20,}+(?![+/]))"
    r"(?!\.[A-Za-z_]|[(\[])"
)
_ASSIGNED = re.compile(
    r"(?i)((?:token|key|secret|signature|\bsig|authorization)"
    rf"(?: is)?[\"']?[ \t]{{0,3}}(?:[:=]|=>)[ \t]{{0,3}}(?:(?:bearer|basic|token)[ ])?[\"']?)({_KEYED})"
    r"|(\b(?:bearer|wandb login(?: --relogin)?|--token)[ ])([A-Za-z0-9._~+/=-]{20,})"
)
_PASSWORD = re.compile(
    r"(?i)((?:password|passwd|pwd|passphrase)[\"']?[ \t]{0,3}[:=][ \t]{0,3})"
    r"([\"'](?!/|true|false)[^\"'\s`\[\]${}<>]{3,64}[\"']|(?=[a-z!#%*+-]{0,20}\d)[\w!#%*+-]{5,64}(?![\w.(\[/\\:]))"
)
# Paths below a web address are not those of a disk.
_USER = r"[^\s\\/:*?\"'<>|`\[\]$%{}(),;~=&#]"
_HOME = re.compile(
    r"https?://[^\s`\"'<>()\[\]]*+"
    r"|((?:/home\d?|/[Uu]sers|(?<![\w.-])/(?:run/)?media)/"
    r"|(?i:[a-z]:[\\/]{1,4}(?:users|documents and settings)[\\/]{1,4}))"
    rf"(?:(?<=\\){_USER}+(?:[ ]{_USER}+){{0,3}}(?=\\)|{_USER}+)"
)
_AT_HOST = re.compile(
    r"(?<![\w.+%@/-])(?!git@)[\w.-]{1,32}@(?!https?:)[\w.-]{1,63}"
    r"(?=:(?:(?:\d{1,3}:)?[~/]|[^\s@`]{0,60}[$#](?:\s|\Z))|(?:[ ][~/\w.-]{1,60}){1,2}\]?[ ]?[$#%](?:[ ]|$))",
    re.MULTILINE,
)
_HOST_AND_USER = re.compile(r"(?m)^([\w-]{2,63})(:[^\s:`]{1,80} )([\w.-]{1,32})(?=\$ )")
_OF_FILE = re.compile(
    r"(?m)(^[> \t]{0,8}+[bcdlps-][rwxsStT-]{9}[.+@]?[ ]{1,4}\d{1,6}[ ]{1,4})(?!root[ ]{1,9}root[ ])"
    r"[\w.-]{1,32}([ ]{1,9})[\w.^-]{1,32}(?=[ ])"
)
_IN_ENVIRONMENT = re.compile(r"(?<![\w$.-])((?:USER|USERNAME|LOGNAME)=)[\w.-]{1,64}")
_SUDO = re.compile(r"(\[sudo\][^\n:`]{0,20} )[\w.-]{1,32}(?=: ?)")

_LOGIN = r"[A-Za-z0-9][A-Za-z0-9-]{0,38}+"
_PROFILE = re.compile(
    r"(?<![\w.-])((?:www\.)?github\.com/|gist\.github\.com/|colab\.research\.google\.com/gist/|api\.github\.com/users/)"
    r"(?!(?:about|apps|blog|collections|contact|customer-stories|enterprise|events|explore|features|issues|join|login|logout|"
    r"marketplace|new|notifications|organizations|orgs|pricing|pulls|readme|search|security|settings|site|sponsors|stars|"
    rf"team|topics|trending|users)\b|{_PSEUDONYM})({_LOGIN})(?![\w%]|\.(?!png)\w|/(?![0-9a-f]{{20}})\w)"
)
_ELSEWHERE = re.compile(
    r"((?:\btwitter\.com/|\blinkedin\.com/in/|\bmedium\.com/@|\bstackoverflow\.com/users/\d{1,12}/|\bdiscuss\.pytorch\.org/u/))"
    r"(?!(?:home|intent|search|share|hashtag)\b)[\w%.-]{1,60}"
)
_ACCOUNT = re.compile(r"((?:githubusercontent\.com/(?:u/|assets/)?|/assets/(?=\d{1,12}/[0-9a-f]{8}-)))\d{1,12}\b")

_IPV4 = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{4,34}(?![\w:])")
_MAC = re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![\w:-])")
_PHONE = re.compile(r"(?<![\w.+-])\+\d{1,3}[ -]?\(?\d{2,4}\)?[ -]\d{3,4}[ -]?\d{3,4}(?:[ -]?\d{1,4})?(?![\w.:-])")
_PUBLIC_SERVERS = ("8.8.8.8", "8.8.4.4", "1.1.1.1")

_CODE = r"^[ \t>]*+(?P<fence>`{3,}|~{3,})[^\n]*\n(?s:.*?)(?:^[ \t>]*+(?P=fence)[^\n]*$|\Z)|`[^`\n]++`"
_MENTION = re.compile(
    rf"(?P<code>{_CODE})|(?<![A-Za-z0-9_`/@+-])(?P<at>[@＠﹫])(?!{_PSEUDONYM})(?!\d{{1,3}}(?![\w-]))(?P<login>{_LOGIN})"
    r"(?![\w(=\[]|\.[a-z0-9]|/[\w/])",
    re.MULTILINE,
)
# What is written with @ and is no person: annotations of Python, Java and Swift, tags of documentation, words of build tools.
_NO_PEOPLE = frozenset(
    [
        "author", "brief", "cached_property", "cpu", "classmethod", "dataclass", "deprecated", "echo", "end", "file", "gpu",
        "implementation", "import", "interface", "media", "mention", "note", "override", "overrides", "param", "profile",
        "property", "protocol", "return", "returns", "rpath", "see", "since", "staticmethod", "test", "throws", "todo",
        "type", "types",
    ]
)  # fmt: skip
_DEFINITION = re.compile(
    r"[ \t]*+\r?\n(?:[> \t]*+@[\w.]++(?:\([^\n]{0,200}\))?[ \t]*+\r?\n){0,4}"
    r"[> \t]*+(?:def|class|async|public|private|protected|static|func)[ ]"
)
_MAY_HOLD_PASSWORDS = re.compile("[Pp][Aa][Ss][Ss]|[Pp][Ww][Dd]")
_MAY_HOLD_TOKENS = re.compile("[A-Za-z0-9_-]{20}|PRIVATE KEY")
_DETECTORS: tuple[RegexBasedDetector, ...] = (
    ArtifactoryDetector(), AWSKeyDetector(), AzureStorageKeyDetector(), CloudantDetector(), DiscordBotTokenDetector(),
    GitHubTokenDetector(), GitLabTokenDetector(), IbmCloudIamDetector(), IbmCosHmacDetector(), MailchimpDetector(),
    PrivateKeyDetector(), PypiTokenDetector(), SendGridDetector(), SlackDetector(), SoftlayerDetector(), SquareOAuthDetector(),
    StripeDetector(), TwilioKeyDetector(),
)  # fmt: skip
"""Those of detect-secrets that know a token by its form, so that they err seldom, in linear time."""
_OF_OUR_FILES: tuple[BasePlugin, ...] = (
    Base64HighEntropyString(), BasicAuthDetector(), HexHighEntropyString(), IPPublicDetector(), JwtTokenDetector(),
    KeywordDetector(), NpmDetector(), OpenAIDetector(), TelegramBotTokenDetector(),
)  # fmt: skip
"""The others: those that take any checksum or number for a secret, or the square of a hostile text's length.

Where strangers write, `_TOKEN`, `_ASSIGNED`, `_USER_INFO` and `_IPV4` stand for them.
"""


def _no_secrets(text: str) -> str:
    """Replace what nobody must read, whoever wrote the text; names and logins stay."""
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(_placeholder("private-key"), text)
    if "://" in text:
        text = _USER_INFO.sub(lambda match: _placeholder("password" if match[2] or len(match[1]) > 39 else "user") + "@", text)
    if _MAY_HOLD_PASSWORDS.search(text):
        text = _PASSWORD.sub(lambda match: match[1] + _placeholder("password"), text)
    if _MAY_HOLD_TOKENS.search(text):
        text = _no_tokens(text)
    if _MAY_BE_SPELT.search(text):
        text = _MAIL_SPELT.sub(_placeholder("e-mail"), text)
    if "/" in text or "\\" in text:
        text = _HOME.sub(lambda match: match[1] + _placeholder("user") if match[1] else match[0], text)
    if _AT.search(text):
        text = _MAIL.sub(_placeholder("e-mail"), text)
        text = _AT_HOST.sub(f"{_placeholder('user')}@{_placeholder('host')}", text)
    text = _IPV4.sub(_internet_address, text)
    text = _IPV6.sub(_internet_address, text)
    text = _PHONE.sub(_placeholder("phone"), text)
    return _MAC.sub(_hardware_address, text)


def _no_tokens(text: str) -> str:
    text = _TOKEN.sub(_placeholder("token"), text)
    text = _ASSIGNED.sub(lambda match: (match[1] or match[3]) + _placeholder("token"), text)
    for detector in _DETECTORS:
        for secret in sorted(set(detector.analyze_string(text)), key=lambda secret: (-len(secret), secret)):
            text = text.replace(secret, _placeholder("token"))
    return text


def _internet_address(match: re.Match[str]) -> str:
    """Replace a public address; one with two numbers below 20 at most is, as versions are small (1 address in 500 is missed)."""
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return match[0]
    if not address.is_global or match[0] in _PUBLIC_SERVERS:
        return match[0]
    if address.version == 4 and sum(number >= 20 for number in address.packed) < 2:
        return match[0]
    return _placeholder("ip-address")


def _hardware_address(match: re.Match[str]) -> str:
    """Replace an address of a device; all zeros are none, and hyphens may part other numbers than hexadecimal ones."""
    parts = re.split("[:-]", match[0])
    none = len(set(parts)) == 1 or ("-" in match[0] and "".join(parts).isdigit())
    return match[0] if none else _placeholder("mac-address")


def _no_people(text: str, name: Callable[[str], str]) -> str:
    """Replace what names people in what they write to each other."""

    def mentioned(match: re.Match[str]) -> str:
        if match["code"] is not None or match["login"].casefold() in _NO_PEOPLE or _DEFINITION.match(text, match.end()):
            return match[0]
        login = match["login"].rstrip("-")
        return match["at"] + name(login) + match["login"][len(login) :]

    if _AT.search(text):
        text = _MENTION.sub(mentioned, text)
    if "github.com/" in text or "/gist/" in text:
        text = _PROFILE.sub(lambda match: match[1] + name(match[2]), text)
    text = _ELSEWHERE.sub(lambda match: match[1] + _placeholder("user"), text)
    text = _ACCOUNT.sub(lambda match: match[1] + _placeholder("user"), text)
    if "redacted:e-mail" in text or "***@***" in text:
        text = _NAME_BEFORE_MAIL.sub(_placeholder("name"), text)
    text = _NAME_OF_QUOTED.sub(lambda match: (match[1] or match[2] or "") + _placeholder("name"), text)
    text = _HOST_AND_USER.sub(lambda m: f"{_placeholder('host')}{m[2]}{_placeholder('user')}", text)
    text = _OF_FILE.sub(lambda match: match[1] + _placeholder("user") + match[2] + _placeholder("user"), text)
    text = _IN_ENVIRONMENT.sub(lambda match: match[1] + _placeholder("user"), text)
    return _SUDO.sub(lambda match: match[1] + _placeholder("user"), text)


def redact(text: str, names: Pseudonymiser) -> str:
    """Return a text without what tells who wrote it or opens their accounts: idempotent, in time linear in the text's length.

    Replaced by pseudonyms are mentions (`@login`) and addresses of profiles (`github.com/login`), of whomever: who is talked
    about is a person as well as who talks, and a text that is read back must not depend on who wrote in its store. Mentions in
    code are none (`@property`), nor are teams and packages (`@babel/core`). Replaced by placeholders are e-mail addresses with
    the names before them, telephone numbers, tokens, private keys, passwords, users in paths of homes, in lists of files and in
    environments, users and hosts in prompts, accounts' numbers in addresses of pictures, and public network addresses.
    """
    before = None
    while text != before:  # what is left may touch something new: until there is nothing to do, which makes it idempotent
        before = text
        text = _no_people(_no_secrets(text), names._name)
    return text


_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGESTS = {"digest", "study_digest", "inputs"}
_FIELDS = {(f"tables/{table.name}", field.name): field for table in tables(with_text=True) for field in table.fields}
_WORD = re.compile(r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*")
_REFERENCE = re.compile(r"(?<![A-Za-z0-9._-])[A-Za-z0-9-]+/[A-Za-z0-9._-]*[A-Za-z0-9_-]")


def owners_who_write(references: Iterable[str], logins: Iterable[str]) -> int:
    """Return how many of those who write own a repository that is referred to (`owner/name`): a reference names them.

    No package can avoid that, for the issues are known by it. The figure cannot stand in a package, as a store that was read back
    from one cannot tell it.
    """
    writers = {login.casefold() for login in logins}
    return len({owner for reference in references if (owner := reference.partition("/")[0].casefold()) in writers})


def scan(files: Mapping[str, bytes], logins: Iterable[str], secrets: Iterable[bytes] = ()) -> list[str]:
    """Look through a package for what must not be in it, before it is written.

    Tables are read, Parquet and CSV, and each of their values is checked: what names somebody who writes is a pseudonym; what
    strangers wrote is what `redact` leaves as it is; all else holds no secret, looks like none (digests, which do, are in columns
    of their own and are checked to be such), and is not a login. All other files are read line by line: with the detectors of
    `redact`, and with those of detect-secrets that go by a text's disorder and by words, none of which asks anybody; SHA-256
    sums may be those of the package's files and of what its tables and studies name.

    A login is found as a whole cell of a table, and as a whole word of other files. It may be that of a repository's owner, who
    is part of the reference, and it may be a word that this program or the package's study uses (some are called `data`).

    Parameters
    ----------
    files
        Contents by name within the package.
    logins
        Those of all who write in the store.
    secrets
        What this program itself must keep, such as the key of the pseudonyms.

    Returns
    -------
    A sentence a finding, sorted: file, row or line, column and kind. What was found is in none of them.
    """
    return sorted(set(_Scan(files, logins, secrets).findings()))


class _Scan:
    def __init__(self, files: Mapping[str, bytes], logins: Iterable[str], secrets: Iterable[bytes]) -> None:
        self._tables = {name: _read_table(name, content) for name, content in files.items() if _is_table(name)}
        self._texts = {name: content.decode(errors="replace") for name, content in files.items() if name not in self._tables}
        self._secrets = [secret.decode(errors="replace") for secret in secrets]
        self._digests = {hashlib.sha256(content).hexdigest() for content in files.values()}
        self._references: set[str] = set()
        for table in self._tables.values():
            for column in table.column_names:
                if column in _DIGESTS:
                    self._digests.update(chain.from_iterable(map(_DIGEST.findall, _values(table[column]))))
                elif column in ("repository", "fix"):
                    self._references.update(m[0].casefold() for m in map(_REFERENCE.match, _values(table[column])) if m)
        of_study = [text for name, text in self._texts.items() if name.startswith("study/")]
        for text in of_study:
            self._digests.update(re.findall(r"sha256 = \"([0-9a-f]{64})\"", text))
        known = _words_of_the_house().union(*map(_words, of_study))
        self._logins = {login for login in map(str.casefold, logins) if login not in known and not login.isdigit()}
        self._nobody = Pseudonymiser(b"")
        self._clean: set[int] = set()

    def findings(self) -> Iterator[str]:
        for name, table in self._tables.items():
            for column in table.column_names:
                field = _FIELDS.get((name.rpartition(".")[0], column))
                for value in _values(table[column], disarmed=name.endswith(".csv")):
                    if (known := hash((column, value))) not in self._clean:
                        kinds = self._in_cell(value, column, field)
                        if not kinds:
                            self._clean.add(known)
                        for kind in kinds:
                            yield f"{name}, row {_row(table[column], value)}, column {column}: {kind}."
        for name, text in self._texts.items():
            if "\N{REPLACEMENT CHARACTER}" in text:
                yield f"{name}: is no text in UTF-8, so that nobody can tell what it holds."
            for number, line in enumerate(text.splitlines(), start=1):
                for kind in self._in_line(name, line):
                    yield f"{name}, line {number}: {kind}."

    def _in_cell(self, value: str, column: str, field: Field | None) -> list[str]:
        if field is not None and field.person:
            return [] if _IS_PSEUDONYM.fullmatch(value) else ["a name that is no pseudonym"]
        if field is not None and field.text:
            return self._in_any(value, redact(value, self._nobody))
        kinds = self._in_any(value, _no_secrets(value))
        if column in _DIGESTS:
            value = _DIGEST.sub("", value)
        if self._looks_secret(column, f'"{value}"'):
            kinds.append("something that looks like a secret")
        if value.casefold() in self._logins:
            kinds.append("the login of somebody who writes in the store")
        return kinds

    def _in_line(self, name: str, line: str) -> list[str]:
        kinds = self._in_any(line, _no_secrets(line))
        if self._looks_secret(name, line):
            kinds.append("something that looks like a secret")
        if not name.startswith("study/"):
            without = _REFERENCE.sub(lambda match: "/" if match[0].casefold() in self._references else match[0], line)
            if not self._logins.isdisjoint(_words(without)):
                kinds.append("the login of somebody who writes in the store")
        return kinds

    def _in_any(self, before: str, after: str) -> list[str]:
        kinds = [f"a text that redaction would change ({kind})" for kind in sorted(redactions(after) - redactions(before))]
        return kinds + ["a secret of this program"] * any(secret in before for secret in self._secrets)

    def _looks_secret(self, name: str, line: str) -> bool:
        return any(
            secret.secret_value not in self._digests for detector in _OF_OUR_FILES for secret in detector.analyze_line(name, line)
        )


def _is_table(name: str) -> bool:
    return name.endswith((".parquet", ".csv"))


def _read_table(name: str, content: bytes) -> pa.Table:
    if name.endswith(".parquet"):
        return pq.read_table(io.BytesIO(content))
    header = content.partition(b"\n")[0].decode().split(",")
    return pyarrow.csv.read_csv(
        io.BytesIO(content),
        read_options=pyarrow.csv.ReadOptions(block_size=len(content) + 1, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name.strip('"'): pa.string() for name in header},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )


def _values(column: "pa.ChunkedArray[Any]", *, disarmed: bool = False) -> Iterator[str]:
    """Yield what a column of texts, or of lists of them, holds, each once."""
    flat: Any = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    if pa.types.is_string(flat.type):
        for value in flat.unique().to_pylist():
            if value is not None:
                yield rearm(value) if disarmed else value


def _row(column: "pa.ChunkedArray[Any]", value: str) -> int:
    """Return which row holds a value: 1 for the first below the header."""

    def holds(cell: str | list[str] | None) -> bool:
        return cell is not None and (value in cell if isinstance(cell, list) else value in (cell, rearm(cell)))

    return next(i for i, cell in enumerate(column.to_pylist(), start=1) if holds(cell))


@cache
def _words_of_the_house() -> frozenset[str]:
    sources = (path for path in Path(pipeline.__file__).parent.rglob("*") if path.suffix not in ("", ".pyc"))
    return frozenset().union(*(_words(path.read_text("utf-8", "replace")) for path in sources))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
