import base64
import hashlib
import hmac
import time
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.export.privacy import Pseudonymiser, redact, redactions

NAMES = Pseudonymiser(b"a key for tests of 32 characters")
ANN = NAMES.name("ann")
assert ANN is not None


def redacted(text: str) -> str:
    return redact(text, NAMES)


def person(login: str) -> str:
    return str(NAMES.name(login))


# --- pseudonyms ---


def test_a_pseudonym_is_the_beginning_of_the_keyed_hash_of_the_login() -> None:
    digest = hmac.new(b"a key for tests of 32 characters", b"ann", hashlib.sha256).digest()
    assert "person:" + base64.b32encode(digest)[:20].decode().lower() == ANN


def test_a_login_has_one_pseudonym_whatever_its_case_and_another_with_another_key() -> None:
    assert NAMES.name("Ann") == NAMES.name("ANN") == ANN
    assert NAMES.name("anna") != ANN != Pseudonymiser(b"another").name("ann")


def test_who_is_not_known_stays_so_and_a_pseudonym_is_not_replaced_again() -> None:
    assert NAMES.name(None) is None
    assert Pseudonymiser(b"another").name(ANN) == ANN


def test_a_bot_is_treated_like_a_person() -> None:
    assert NAMES.name("dependabot[bot]") == person("dependabot[bot]") != "dependabot[bot]"


# --- mentions and profiles ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@ann", f"@{ANN}"),
        ("Thanks, @Ann. And (@ANN), @ann's, @ann: no", f"Thanks, @{ANN}. And (@{ANN}), @{ANN}'s, @{ANN}: no"),
        ("cc @ann @bob-2", f"cc @{ANN} @{person('bob-2')}"),
        ("> @ann wrote", f"> @{ANN} wrote"),
        ("＠ann", f"＠{ANN}"),
        ("[@ann](https://github.com/ann)", f"[@{ANN}](https://github.com/{ANN})"),
        ("http://www.github.com/ann?tab=repositories", f"http://www.github.com/{ANN}?tab=repositories"),
        ("https://github.com/ann.png", f"https://github.com/{ANN}.png"),
        ("https://api.github.com/users/ann", f"https://api.github.com/users/{ANN}"),
        ("gist.github.com/ann/0123456789abcdef0123456789abcdef", f"gist.github.com/{ANN}/0123456789abcdef0123456789abcdef"),
        ("so it is.@ann, 好的@ann", f"so it is.@{ANN}, 好的@{ANN}"),
        ("@ann\n@1-bob\nthanks", f"@{ANN}\n@{person('1-bob')}\nthanks"),
        ("https://colab.research.google.com/gist/ann/0123456789abcdef0123456789abcdef",
         f"https://colab.research.google.com/gist/{ANN}/0123456789abcdef0123456789abcdef"),
        ("https://twitter.com/ann", "https://twitter.com/[redacted:user]"),
        ("https://user-images.githubusercontent.com/123/9-a.png", "https://user-images.githubusercontent.com/[redacted:user]/9-a.png"),
        ("https://avatars0.githubusercontent.com/u/123?v=4", "https://avatars0.githubusercontent.com/u/[redacted:user]?v=4"),
        ("`@property` by @ann", f"`@property` by @{ANN}"),
        ("```\nhi\n```\n@ann", f"```\nhi\n```\n@{ANN}"),
    ],
)  # fmt: skip
def test_mentions_and_profiles_become_pseudonyms(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "`@ann`",
        "```python\n@decorated\ndef f(): ...\n```",
        "> ```\n> @decorated\n> ```",
        "@decorated\ndef f(): ...",
        "    @decorated(1)\n    @twice\n    class A: ...",
        "@torch.jit.script",
        "@parametrize('x')",
        "@property and @Override",
        "npm install @babel/core",
        "cc @tensorflow/micro",
        "@bazel_tools//tools",
        "memcpy@GLIBC_2.2.5 memcpy@@GLIBC_2.14",
        "mAP@50, mAP @ 50, @50",
        "a@b, a @ b, x = a@b.T",
        "https://medium.com/feed/@",
        "https://github.com/ann/forge/issues/1",
        "https://github.com/features",
        "https://acme.github.io/guide",
        "https://github.com/",
        "git@github.com:ann/forge.git",
        "git+ssh://git@github.com/ann/forge",
    ],
)
def test_code_teams_packages_and_references_are_no_mentions(text: str) -> None:
    assert redacted(text) == text


# --- placeholders ---

PEM = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"
HEX = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # e-mail
        ("to a.b+c@sub.example.com.", "to [redacted:e-mail]."),
        ("<mailto:a@b.org> a@b.org,c@d.net", "<mailto:[redacted:e-mail]> [redacted:e-mail],[redacted:e-mail]"),
        ("ann＠example.com", "[redacted:e-mail]"),
        ("ann\u200b@exam\u200bple.com", "[redacted:e-mail]"),
        ("jörg@bücher.example", "[redacted:e-mail]"),
        ("ann [at] example [dot] com", "[redacted:e-mail]"),
        ("ann(at)example.com", "[redacted:e-mail]"),
        ("ann at example dot com", "[redacted:e-mail]"),
        ("12+ann@users.noreply.github.com", "[redacted:e-mail]"),
        # the names beside them
        ("Signed-off-by: Ann Smith <a@b.org>", "Signed-off-by: [redacted:name] <[redacted:e-mail]>"),
        ('> On Jan 1, 2018, at 3:04 PM, "Smith, A." <a@b.org> wrote:',
         "> On Jan 1, 2018, at 3:04 PM, [redacted:name] <[redacted:e-mail]> wrote:"),
        ("On Mon, Jan 1, 2018 at 3:04 PM, ann <a@b.org> wrote:",
         "On Mon, Jan 1, 2018 at 3:04 PM, [redacted:name] <[redacted:e-mail]> wrote:"),
        ("On Jan 1, 2018, at 3:04 PM, Ann Smith wrote:", "On Jan 1, 2018, at 3:04 PM, [redacted:name] wrote:"),
        ("2018-01-01 GMT+08:00 王小明 <a@b.org>:", "2018-01-01 GMT+08:00 [redacted:name] <[redacted:e-mail]>:"),
        ("Author: Smith, Ann <a@b.org>", "Author: [redacted:name] <[redacted:e-mail]>"),
        ("On 1 Jan 2018 at 3:04 PM ann-1 ***@***.***> wrote:", "On 1 Jan 2018 at 3:04 PM ann-1 ***@***.***> wrote:"),
        ("at 3:04 PM, ann-1 ***@***.***> wrote:", "at 3:04 PM, [redacted:name] ***@***.***> wrote:"),
        ("> Ann Smith wrote:\n> ...", "> [redacted:name] wrote:\n> ..."),
        ("please write to <a@b.org>", "please write to <[redacted:e-mail]>"),
        # tokens
        ("ghp_" + "aB3" * 12, "[redacted:token]"),
        ("github_pat_" + "aB3_" * 20, "[redacted:token]"),
        ("AKIA" + "ABCD" * 4, "[redacted:token]"),
        ("xoxb-123456789012-abcdefABCDEF", "[redacted:token]"),
        ("AIza" + "a-B_3" * 7, "[redacted:token]"),
        ("sk-" + "aB3d" * 12, "[redacted:token]"),
        ("sk-proj-" + "aB3d" * 12, "[redacted:token]"),
        ("hf_" + "aBcD" * 9, "[redacted:token]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_1", "[redacted:token]"),
        (f"http://localhost:8888/?token={HEX}", "http://localhost:8888/?token=[redacted:token]"),
        (f"WANDB_API_KEY={HEX}", "WANDB_API_KEY=[redacted:token]"),
        (f"your token is: {HEX}.", "your token is: [redacted:token]."),
        (f"wandb login {HEX}", "wandb login [redacted:token]"),
        (f'"aws_secret_access_key": "{HEX}"', '"aws_secret_access_key": "[redacted:token]"'),
        (f"Authorization: Bearer {HEX}", "Authorization: Bearer [redacted:token]"),
        (f"a\n{PEM}\nb", "a\n[redacted:private-key]\nb"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEAMIIEpAIBAAKCAQEA\nthat was it", "[redacted:private-key]\nthat was it"),
        # passwords
        ("https://ann:s3cret@example.com/x", "https://[redacted:password]@example.com/x"),
        (f"https://{HEX}@github.com/a/b", "https://[redacted:password]@github.com/a/b"),
        ("ssh://ann@example.com", "ssh://[redacted:user]@example.com"),
        ("password='hunter2'", "password=[redacted:password]"),
        ("PASSWORD: s3cret!", "PASSWORD: [redacted:password]"),
        # homes
        ('File "/home/ann/x.py"', 'File "/home/[redacted:user]/x.py"'),
        ("-IC:\\Users\\ann\\x /data/users/ann/x", "-IC:\\Users\\[redacted:user]\\x /data/users/[redacted:user]/x"),
        ("/nfs/home2/ann: x", "/nfs/home2/[redacted:user]: x"),
        ("/mnt/c/Users/Ann/x and /Users/ann", "/mnt/c/Users/[redacted:user]/x and /Users/[redacted:user]"),
        (r"C:\Users\Ann Smith\x, c:\\users\\ann\\x", r"C:\Users\[redacted:user]\x, c:\\users\\[redacted:user]\\x"),
        ("D:/Documents and Settings/ann/x", "D:/Documents and Settings/[redacted:user]/x"),
        ("file:///home/ann/x", "file:///home/[redacted:user]/x"),
        # prompts
        ("ann@box:~$ ls", "[redacted:user]@[redacted:host]:~$ ls"),
        ("(base) ann@box:/srv/x# ls", "(base) [redacted:user]@[redacted:host]:/srv/x# ls"),
        ("[ann@box x]$ ls", "[[redacted:user]@[redacted:host] x]$ ls"),
        ("ann@Anns-Mac x % ls", "[redacted:user]@[redacted:host] x % ls"),
        ("Anns-Mac:x ann$ ls", "[redacted:host]:x [redacted:user]$ ls"),
        ("ann@box:main:work$ ls, ann@box:130:~$ ls",
         "[redacted:user]@[redacted:host]:main:work$ ls, [redacted:user]@[redacted:host]:130:~$ ls"),
        ("-rw-r--r-- 1 ann staff 40 Sep 1 x\ndrwxr-xr-x  2 root root 4096 Feb 9 y",
         "-rw-r--r-- 1 [redacted:user] [redacted:user] 40 Sep 1 x\ndrwxr-xr-x  2 root root 4096 Feb 9 y"),
        ("HOME=x USER=ann LOGNAME=ann", "HOME=x USER=[redacted:user] LOGNAME=[redacted:user]"),
        ("Tel. +44 7700 900 123, +1-202-555-0147", "Tel. [redacted:phone], [redacted:phone]"),
        ("[sudo] password for ann: ", "[sudo] password for [redacted:user]: "),
        # networks
        ("from 203.0.114.77:80", "from [redacted:ip-address]:80"),
        ("2a00:1450:4001:81b::200e", "[redacted:ip-address]"),
        ("ether 0a:1b:2c:3d:4e:5f", "ether [redacted:mac-address]"),
    ],
)  # fmt: skip
def test_what_tells_who_wrote_gets_a_placeholder(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:8888, 0.0.0.0, 10.1.2.3, 192.168.1.5, 8.8.8.8 and ::1",
        "version 1.2.3.4, driver 27.20.100.8681, Chrome 86.0.4240.75, opset 10.0.19041.508",
        "$USER, user=x, --- +1,2 +10 -3 +1234567890, 1 202 555 0147",
        "at 12:30:45, std::vector, a::b::c, 00:00:00:00:00:00",
        "logo@2x.png, pkg@1.2.3, torch@v1.2, x@y",
        f"sha256:{HEX}, commit {HEX}, model-0123abcd.pth",
        "key: layer1/weights_of_the_second, token = tokenizer.encode(text_1_2_3_4_5_6)",
        "'PWD': '/srv/x', MYSQL_ALLOW_EMPTY_PASSWORD='true'",
        "key: runs/01234567-89ab-11e9-8def-0123456789ab/pipeline/metrics.tgz",
        "run@http://localhost:8081/index.js, IDs 44-47-49-51-53-59, emb@GRAD.block",
        "password=None, password: str, $PASSWORD, password = os.environ['X']",
        "https://example.com/home/page and https://example.com/Users/guide",
        "/home/$USER/x, /home/{user}/x, /home/<you>/x, ~/x, /homework/x",
        "look at this. Meet at noon (at the door)",
        "[name] and [token] and [user]",
        "",
        "2020-01-31 12:00:00 [INFO] step 1000/2000 loss: 0.123",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert redacted(text) == text


def test_placeholders_and_pseudonyms_are_counted_by_kind() -> None:
    text = redacted("@ann: a@b.org, c@d.org, /home/ann/x")
    assert redactions(text) == Counter({"e-mail": 2, "user": 1, "login": 1})
    assert redactions("[name] a person: x") == Counter()


PIECES = [
    "@ann", "@", "`", "```\n", "~~~", "\n", " ", ">", "a@b.org", "<a@b.org>", "Ann Smith ", "On Jan 1, 2018, ", " wrote:",
    "/home/", "/home/ann/", "C:\\Users\\", "https://", "github.com/", "github.com/ann", ".github.io", "ann:pw@", "token=", HEX,
    "ghp_" + "aB3" * 12, "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "password='", "'", '"', "ann@box:~$ ",
    "203.0.114.77", "0a:1b:2c:3d:4e:5f", ":", "/", "]", "[", "(", "person:", ANN, "redacted:", "[redacted:user]", "eyJ", ".", "-",
    "AKIA", "ABCDABCDABCDABCD", "\u200b", "＠", "def f", "$ ", "#", "key", "=", "(at)", "assets/", "12345", "bearer ", "\\",
    "sk-", "//", "xoxb-1-", "glpat-a", "AKC", "cloudant", "api_key ", "SG.a", "12345678:",
]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=30).map("".join))
@example("/home/@ann")
@example("https://token=" + HEX + "@x")
def test_redaction_again_changes_nothing_whatever_the_key(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once
    assert redact(once, Pseudonymiser(b"another key")) == once


LONG = [*PIECES, "a", "a.", "a@", "a-", "@a@", "://a", "a b ", "1.", "0a:", ": a", "A ", "a/b", "key=a1"]


@pytest.mark.parametrize("piece", LONG)
def test_a_text_made_to_take_long_does_not(piece: str) -> None:
    begin = time.process_time()
    redacted(piece * (80_000 // len(piece)))
    assert time.process_time() - begin < 1.5


def test_a_hostile_megabyte_takes_seconds() -> None:
    begin = time.process_time()
    redacted("".join(piece * (12_500 // len(piece)) for piece in LONG))
    assert time.process_time() - begin < 15
