r"""People out of packages: pseudonyms for logins, placeholders for what else tells who wrote a text.

What this is worth: pseudonyms keep names out of a package, its tables and all that is made of them. They do not hide who opened
an issue from somebody who looks the issue up on its tracker, which a reference invites to do.

Not recognised, and so not redacted: names in running text and below letters, logins without @ and owners of what is linked to,
telephone numbers without + (10 digits are a number of anything), private network addresses, and a user's name in paths below no
home (`/scratch/USER`).
"""

import base64
import hashlib
import hmac
import ipaddress
import re
from collections import Counter
from collections.abc import Callable

from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.cloudant import CloudantDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.ibm_cloud_iam import IbmCloudIamDetector
from detect_secrets.plugins.ibm_cos_hmac import IbmCosHmacDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.softlayer import SoftlayerDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

_PSEUDONYM = r"person:[a-z2-7]{20}"
IS_PSEUDONYM = re.compile(_PSEUDONYM)
"""What a whole name is that is none any more."""


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
        if IS_PSEUDONYM.fullmatch(login):
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
    r"|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|dckr_pat_[\w-]{20,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]+)?|\d{8,10}:AA[\w-]{33})"
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
"""Those of detect-secrets that know a token by its form, so that they err seldom, in linear time.

`_TOKEN`, `_ASSIGNED`, `_USER_INFO` and `_IPV4` stand for the others, which `package_scan` asks about our own files.
"""


def without_secrets(text: str) -> str:
    """Return a text with placeholders for what must be read of nobody's, strangers' or ours; names and logins stay."""
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
        text = _no_people(without_secrets(text), names._name)
    return text
