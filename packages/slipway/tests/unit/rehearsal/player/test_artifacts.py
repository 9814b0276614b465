"""Artifacts: files are unpacked as they were packed, and never outside their folder."""

from __future__ import annotations

import json
import stat
import tempfile
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError
from slipway.rehearsal.player.artifacts import ArtifactStore, pack, read_member, unpack
from unit.rehearsal.aws import DEV, TOOLS, Account, accounts_in


def _zip(file: Path, *entries: tuple[str, str, int]) -> Path:
    """Write a zip of names, contents and modes, as any program may produce it."""
    with zipfile.ZipFile(file, "w") as content:
        for name, text, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            content.writestr(entry, text)
    return file


_NAME = st.sampled_from(["a", "b c", "Äß", "x.sh", ".hidden", "-"])
_TREES = st.dictionaries(
    st.lists(_NAME, min_size=1, max_size=3).map("/".join),
    st.tuples(st.binary(max_size=40), st.sampled_from([0o644, 0o600, 0o755, 0o500])),
    max_size=5,
).filter(lambda tree: not any(other.startswith(f"{name}/") for name in tree for other in tree))


@settings(max_examples=25, deadline=None)
@given(_TREES)
def test_files_come_out_as_they_went_in(tree: dict[str, tuple[bytes, int]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, (content, mode) in tree.items():
            path = folder / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(mode)
        assert pack(((folder / "in" / name, name) for name in tree), folder / "a.zip") == len(tree)
        unpack(folder / "a.zip", folder / "out")
        found = {
            path.relative_to(folder / "out").as_posix(): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
            for path in (folder / "out").rglob("*")
            if path.is_file()
        }
    assert found == tree


@pytest.mark.parametrize("name", ["script.sh", "stored.whl"])
def test_equal_files_give_equal_zips(tmp_path: Path, name: str) -> None:
    zips = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / name).write_text("echo\n" * 50)
        pack([(tmp_path / place / name, name)], tmp_path / f"{place}.zip")
        zips.append((tmp_path / f"{place}.zip").read_bytes())
        (tmp_path / place / name).touch()
    assert zips[0] == zips[1]


def test_compressed_files_are_stored_without_compression(tmp_path: Path) -> None:
    for name in ("layer.zip", "template.json"):
        (tmp_path / name).write_bytes(b"a" * 1000)
    pack([(tmp_path / name, name) for name in ("layer.zip", "template.json")], tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as content:
        kinds = {entry.filename: entry.compress_type for entry in content.infolist()}
    assert kinds == {"layer.zip": zipfile.ZIP_STORED, "template.json": zipfile.ZIP_DEFLATED}


def test_a_zip_is_written_atomically(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    with pytest.raises(FileNotFoundError):
        pack([(tmp_path / "there", "there"), (tmp_path / "gone", "gone")], tmp_path / "out" / "a.zip")
    assert list((tmp_path / "out").iterdir()) == []


def test_no_files_make_an_empty_zip(tmp_path: Path) -> None:
    assert pack([], tmp_path / "a.zip") == 0
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_folders_and_links_within_are_made(tmp_path: Path) -> None:
    archive = _zip(
        tmp_path / "a.zip",
        ("sub/", "", stat.S_IFDIR | 0o755),
        ("sub/file", "content", stat.S_IFREG | 0o644),
        ("deep/link", "../sub/file", stat.S_IFLNK | 0o777),
        ("plain", "no mode", 0),
    )
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "deep" / "link").is_symlink()
    assert (tmp_path / "out" / "deep" / "link").read_text() == "content"
    assert (tmp_path / "out" / "plain").read_text() == "no mode"


def test_unpacked_files_are_older_than_what_is_made_beside_them(tmp_path: Path) -> None:
    unpack(_zip(tmp_path / "a.zip", ("Makefile", "all:", 0o644)), tmp_path / "out")
    assert (tmp_path / "out" / "Makefile").stat().st_mtime == 0


LINK = stat.S_IFLNK | 0o777


@pytest.mark.parametrize(
    "entries",
    [
        [("../outside", "x", 0o644)],
        [("sub/../../outside", "x", 0o644)],
        [("../made/", "", stat.S_IFDIR | 0o755)],
        [("../outside", "/etc/passwd", LINK)],
        [("link", "..", LINK), ("link/outside", "x", 0o644)],
        [("link", "../outside", LINK), ("link", "x", 0o644)],
        [("link", "..", LINK), ("link/made/", "", stat.S_IFDIR | 0o755)],
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_nothing_is_unpacked_outside_the_folder(tmp_path: Path, entries: list[tuple[str, str, int]]) -> None:
    # Given a zip whose entry escapes its folder, by name or through a link
    archive = _zip(tmp_path / "a.zip", *entries)
    (tmp_path / "work").mkdir()
    # When it is unpacked, then it is refused, naming the entry
    with pytest.raises(RehearsalError, match=f"{entries[-1][0].rstrip('/')}.* outside"):
        unpack(archive, tmp_path / "work" / "out")
    # And nothing was written outside the folder
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["out"]


def test_a_file_of_an_absolute_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="outside"):
        unpack(_zip(tmp_path / "a.zip", (f"{tmp_path}/outside", "x", 0o644)), tmp_path / "out")
    assert not (tmp_path / "outside").exists()


def test_an_invalid_zip_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("not a zip")
    with pytest.raises(RehearsalError, match=r"a\.zip is not a zip"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_one_file_of_an_artifact_can_be_read(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", ("sub/t.json", '{"a": "ä"}', 0o644))
    assert read_member(archive, "sub/t.json") == '{"a": "ä"}'
    with pytest.raises(RehearsalError, match=r"the artifact contains no other\.json"):
        read_member(archive, "other.json")


@pytest.fixture
def account() -> Account:
    account = Account(TOOLS)
    account.role("reader", "s3:GetObject")
    account.role("writer", "s3:PutObject")
    return account


def _store(account: Account) -> ArtifactStore:
    return ArtifactStore(cast("Emulator", account), "artifacts")


def test_artifact_passes_the_bucket_under_its_roles(tmp_path: Path, account: Account) -> None:
    store = _store(account)
    (tmp_path / "in.zip").write_bytes(b"content" * 300_000)
    store.put("slipway/Sources/1", tmp_path / "in.zip", account.as_role("writer"))
    store.get("slipway/Sources/1", tmp_path / "new" / "out.zip", account.as_role("reader"))
    assert (tmp_path / "new" / "out.zip").read_bytes() == (tmp_path / "in.zip").read_bytes()
    assert account.s3.objects.keys() == {("artifacts", "slipway/Sources/1")}


def test_a_denied_role_error_names_the_artifact(tmp_path: Path, account: Account) -> None:
    store = _store(account)
    (tmp_path / "in.zip").write_bytes(b"content")
    with pytest.raises(RehearsalError, match=r"slipway/Sources/1 could not be written: .*AccessDenied.*role/reader"):
        store.put("slipway/Sources/1", tmp_path / "in.zip", account.as_role("reader"))
    with pytest.raises(RehearsalError, match=r"slipway/Sources/1 could not be read: .*AccessDenied.*role/writer"):
        store.get("slipway/Sources/1", tmp_path / "out.zip", account.as_role("writer"))
    with pytest.raises(RehearsalError, match=r"slipway/Sources/1 could not be read: .*NoSuchKey"):
        store.get("slipway/Sources/1", tmp_path / "out.zip", account.as_role("reader"))


def _policy(principal: str, action: str = "s3:Put*") -> dict[str, object]:
    arn = "arn:aws:s3:::artifacts/*"
    return {"Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action, "Resource": arn}]}


SOURCE = f"arn:aws:iam::{DEV}:role/source"


@pytest.mark.parametrize(
    ("may", "policy", "says"),
    [
        (["s3:PutObject"], _policy(SOURCE), None),
        (["s3:PutObject"], _policy(f"arn:aws:iam::{DEV}:root"), None),
        (["s3:PutObject"], _policy(SOURCE, "s3:GetObject"), "by the policy of the bucket"),
        (["s3:PutObject"], {}, "by the policy of the bucket"),
        (["s3:GetObject"], _policy(SOURCE), "by its own policy"),
    ],
)
def test_another_accounts_role_needs_both_policies(
    tmp_path: Path, may: list[str], policy: dict[str, object], says: str | None
) -> None:
    # Given a role of another account, with its own policies and the bucket's
    accounts, behind = accounts_in(tmp_path)
    behind[TOOLS].s3.policies["artifacts"] = json.dumps(policy)
    behind[DEV].role("source", *may)
    store = ArtifactStore(accounts.emulators[TOOLS], "artifacts", accounts.partition)
    (tmp_path / "in.zip").write_bytes(b"content")
    # When it writes an artifact, then this succeeds only if both policies allow it
    expected = pytest.raises(RehearsalError, match=says) if says else nullcontext()
    with expected:
        store.put("slipway/Sources/1", tmp_path / "in.zip", accounts.partition.assume(SOURCE, "source"))
    assert (("artifacts", "slipway/Sources/1") in behind[TOOLS].s3.objects) is (says is None)


KEY = f"arn:aws:kms:us-east-1:{TOOLS}:key/11111111-2222-3333-4444-555555555555"


def _key_policy(action: str, condition: dict[str, object] | None = None) -> dict[str, object]:
    statement = {"Effect": "Allow", "Principal": {"AWS": SOURCE}, "Action": action, "Resource": "*"}
    return {"Statement": [{**statement, **({"Condition": condition} if condition else {})}]}


VIA_S3: dict[str, object] = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
VIA_SQS: dict[str, object] = {"StringEquals": {"kms:ViaService": "sqs.us-east-1.amazonaws.com"}}
NOT_HERE: dict[str, object] = {"StringNotEquals": {"kms:CallerAccount": "1"}}


@pytest.mark.parametrize(
    ("may", "policy", "says"),
    [
        ("kms:GenerateDataKey*", _key_policy("kms:GenerateDataKey*"), None),
        ("kms:GenerateDataKey*", _key_policy("kms:GenerateDataKey*", VIA_S3), None),
        ("kms:GenerateDataKey*", _key_policy("kms:GenerateDataKey*", VIA_SQS), "by the policy of the key"),
        ("kms:GenerateDataKey*", _key_policy("kms:GenerateDataKey*", NOT_HERE), "by the policy of the key"),
        ("kms:GenerateDataKey*", _key_policy("kms:Decrypt"), "by the policy of the key"),
        ("kms:Decrypt", _key_policy("kms:GenerateDataKey*"), "by its own policy"),
    ],
)
def test_another_accounts_role_needs_the_key(
    tmp_path: Path, may: str, policy: dict[str, object], says: str | None
) -> None:
    # Given a bucket that allows a role of another account to write, and encrypts with a customer managed key
    accounts, behind = accounts_in(tmp_path)
    behind[TOOLS].s3.policies["artifacts"] = json.dumps(_policy(SOURCE))
    behind[TOOLS].s3.keys["artifacts"] = KEY
    behind[TOOLS].keys.policies[KEY] = json.dumps(policy)
    behind[DEV].role("source", "s3:PutObject", may)
    store = ArtifactStore(accounts.emulators[TOOLS], "artifacts", accounts.partition)
    (tmp_path / "in.zip").write_bytes(b"content")
    # When it writes an artifact, then this succeeds only if its own policies and the key's allow it
    with pytest.raises(RehearsalError, match=says) if says else nullcontext():
        store.put("slipway/Sources/1", tmp_path / "in.zip", accounts.partition.assume(SOURCE, "source"))
    assert (("artifacts", "slipway/Sources/1") in behind[TOOLS].s3.objects) is (says is None)
