import hashlib
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.export.package_scan import owners_who_write, scan
from pipeline.export.privacy import Pseudonymiser
from pipeline.package_tables import tables

ANN = Pseudonymiser(b"a key for tests of 32 characters").name("ann")
PEM = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"


def table_file(name: str, **columns: list[object]) -> dict[str, bytes]:
    """Write a table of a package as Parquet, with these values of some of its columns."""
    (table,) = (table for table in tables(with_text=True) if table.name == name)
    schema = pa.schema([field for field in table.schema if field.name in columns])
    content = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), content)
    return {f"tables/{name}.parquet": content.getvalue()}


def test_a_clean_package_has_no_findings() -> None:
    digest = hashlib.sha256(b"readme").hexdigest()
    files = {
        "README.md": b"The data of ann/forge, https://github.com/ann/forge, in tables of ann/forge.",
        "SHA256SUMS": f"{digest}  README.md\n".encode(),
        "croissant.json": f'{{"sha256": "{digest}"}}'.encode(),
        "study/data/studies/x.toml": f'name = "ann/forge"\nsha256 = "{digest}"\nsource = "lorem"\n'.encode(),
        "tables/issues.csv": f'repository,number,author\n"ann/forge",1,"{ANN}"\n"ann/forge",2,\n'.encode(),
    }
    files |= table_file("issues", repository=["ann/forge"], author=[ANN], fix=["ann/forge#12"], source=["lorem"])
    assert scan(files, ["ann", "lorem", "data", "1234"]) == []


def test_a_login_is_found_in_tables_and_in_words_and_not_told() -> None:
    files = {"README.md": b"fine\nby Ann-Smith, it seems", "tables/labels.csv": b"repository,value\na/b,x\na/b,Ann-Smith\n"}
    files |= table_file("issues", repository=["a/b", "a/b"], author=[None, "Ann-Smith"], source=["", "ann-smith"])
    found = scan(files, ["ann-smith"])
    assert found == [
        "README.md, line 2: the login of somebody who writes in the store.",
        "tables/issues.parquet, row 2, column author: a name that is no pseudonym.",
        "tables/issues.parquet, row 2, column source: the login of somebody who writes in the store.",
        "tables/labels.csv, row 2, column value: the login of somebody who writes in the store.",
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a@b.org", "e-mail"), ("/home/ann/x", "user"), ("ghp_" + "aB3" * 12, "token"), ("203.0.114.77", "ip-address"),
        ("https://ann:pw@x.org", "password"), (PEM, "private-key"),
    ],
)  # fmt: skip
def test_secrets_are_found_in_every_file_and_not_told(text: str, kind: str) -> None:
    files = {"DATASHEET.md": text.encode(), "study/data/studies/x.toml": text.encode()}
    files |= table_file("runs", run=[1, 2], command=["x", text], inputs=[["x"], ["y", text]])
    files |= table_file("issue_texts", title=["x", "y", f"see {text}"])
    found = scan(files, [])
    told = " ".join(found)
    for where in ("row 2, column command", "row 2, column inputs", "row 3, column title"):
        assert f"{where}: a text that redaction would change ({kind})." in told
    assert "DATASHEET.md, line" in told
    assert "x.toml, line" in told
    assert text not in told


def test_mentions_are_found_in_what_strangers_wrote_only() -> None:
    files = table_file("comment_texts", body=["thanks @ann"]) | {"croissant.json": b'{"@context": {"@vocab": "x"}}'}
    assert scan(files, []) == ["tables/comment_texts.parquet, row 1, column body: a text that redaction would change (login)."]


def test_what_looks_like_a_secret_is_found_unless_it_is_a_known_sum() -> None:
    strange = hashlib.sha256(b"of no file").hexdigest()
    files = {"datapackage.json": f'{{"hash": "{strange}"}}'.encode()}
    assert scan(files, []) == ["datapackage.json, line 1: something that looks like a secret."]
    assert scan(files | table_file("models", model=["m"], digest=[strange]), []) == []
    assert scan(table_file("models", model=[strange], digest=["x"]), []) == [
        "tables/models.parquet, row 1, column model: something that looks like a secret."
    ]


def test_the_key_itself_is_found() -> None:
    files = {"README.md": b"the key is abcdefgh"} | table_file("runs", command=["--key abcdefgh"])
    assert len(scan(files, [], [b"abcdefgh"])) == 2


def test_a_file_that_is_no_text_is_a_finding() -> None:
    assert scan({"x.bin": b"\xff\xfe"}, []) == ["x.bin: is no text in UTF-8, so that nobody can tell what it holds."]


def test_owners_who_write_are_counted_as_references_name_them() -> None:
    assert owners_who_write(["Ann/forge", "ann/anvil#3", "bob/x@3f2a91", "acme/y"], ["ann", "Bob", "cleo"]) == 2
