"""Artifacts: zips in the pipeline's bucket, written and read under the roles that write and read them on AWS."""

from __future__ import annotations

import fnmatch
import json
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from botocore.exceptions import ClientError

from slipway.emulator.partition import Partition
from slipway.emulator.server import Credentials, Emulator
from slipway.errors import RehearsalError

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
_KEY_ACTIONS: Final = {"s3:GetObject": "kms:Decrypt", "s3:PutObject": "kms:GenerateDataKey"}
"""KMS actions that S3 calls in the caller's name."""

_STORED = {".zip", ".whl", ".gz"}
"""Suffixes of files that are already compressed."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file in an artifact, the earliest that a zip can store, so that equal content gives equal zips."""


class ArtifactStore:
    """The artifact bucket.

    Args:
        emulator: Emulator of the tools account, in the bucket's region.
        bucket: Name of the bucket.
        partition: Routes between the accounts, through which roles of other accounts use the bucket too. Default: only
            roles of its own account do.
    """

    def __init__(self, emulator: Emulator, bucket: str, partition: Partition | None = None) -> None:
        self._emulator, self._bucket, self._partition = emulator, bucket, partition

    @property
    def expires_after(self) -> int | None:
        """Days after which the bucket deletes an artifact; None if it keeps them."""
        client = self._emulator.session().client("s3")
        try:
            rules = client.get_bucket_lifecycle_configuration(Bucket=self._bucket)["Rules"]
        except ClientError:
            return None
        days = [rule["Expiration"]["Days"] for rule in rules if "Days" in rule.get("Expiration", {})]
        return min(days, default=None)

    def put(self, key: str, file: Path, credentials: Credentials) -> None:
        """Upload a zip.

        Args:
            key: Key of the object.
            file: The zip.
            credentials: Credentials of the role.

        Raises:
            RehearsalError: The role lacks the permission.
        """
        try:
            with file.open("rb") as content:
                self._client(credentials, "s3:PutObject", key).put_object(Bucket=self._bucket, Key=key, Body=content)
        except ClientError as error:
            raise RehearsalError(f"the artifact {key} could not be written: {error}") from error

    def get(self, key: str, file: Path, credentials: Credentials) -> None:
        """Download a zip.

        Args:
            key: Key of the object.
            file: File to write.
            credentials: Credentials of the role.

        Raises:
            RehearsalError: The role lacks the permission, or the object does not exist.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            answer = self._client(credentials, "s3:GetObject", key).get_object(Bucket=self._bucket, Key=key)
            with file.open("wb") as target:
                for chunk in answer["Body"].iter_chunks(1 << 20):
                    target.write(chunk)
        except ClientError as error:
            raise RehearsalError(f"the artifact {key} could not be read: {error}") from error

    def _client(self, credentials: Credentials, action: str, key: str) -> Any:
        """Return a client of S3 that acts for a role.

        The process of the tools account doesn't know sessions of other accounts, so the policies that S3 and KMS
        evaluate across accounts are evaluated here: the role's, the bucket's
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-walkthroughs-managing-access-example2.html), and,
        if objects are encrypted with a customer's key, the role's and the key's
        (https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html). The call
        itself is then made by the root of the bucket's account.

        Raises:
            RehearsalError: A policy does not allow it.
        """
        session = self._partition.session_of(credentials) if self._partition else None
        if session is None or self._partition is None or session.account == self._emulator.account:
            return self._emulator.session(credentials).client("s3")
        role = f"arn:aws:iam::{session.account}:role/{session.role}"
        arn = f"arn:aws:s3:::{self._bucket}/{key}"
        self._demand(role, action, arn, policy=self._bucket_policy(), holder="the bucket")
        if encryption := self._key():
            via = {"kms:ViaService": f"s3.{self._emulator.region}.amazonaws.com", "kms:CallerAccount": session.account}
            policy = self._key_policy(encryption)
            self._demand(role, _KEY_ACTIONS[action], encryption, policy=policy, holder="the key", context=via)
        return self._emulator.session().client("s3")

    def _demand(
        self,
        role: str,
        action: str,
        resource: str,
        *,
        policy: Mapping[str, Any],
        holder: str,
        context: Mapping[str, str] | None = None,
    ) -> None:
        """Require a role's own policies and a resource's to allow an action.

        Raises:
            RehearsalError: A policy does not allow it.
        """
        account = role.split(":")[4]
        refused = f"{role} is not authorized to perform: {action} on {resource} by"
        if not cast("Partition", self._partition).allowed(account, role, action, resource, context):
            raise RehearsalError(f"{refused} its own policy")
        if not _allows(policy, role=role, action=action, resource=resource, context=context or {}):
            raise RehearsalError(f"{refused} the policy of {holder}")

    def _bucket_policy(self) -> dict[str, Any]:
        try:
            text = self._emulator.session().client("s3").get_bucket_policy(Bucket=self._bucket)["Policy"]
        except ClientError:
            return {}
        return cast("dict[str, Any]", json.loads(text))

    def _key(self) -> str | None:
        """Return the ARN of the customer's key that the bucket encrypts with; None if it is AWS's own."""
        try:
            answer = self._emulator.session().client("s3").get_bucket_encryption(Bucket=self._bucket)
        except ClientError:
            return None
        for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]:
            name = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID", "")
            if name and "alias/aws/" not in name:
                described = self._emulator.session().client("kms").describe_key(KeyId=name)
                return str(described["KeyMetadata"]["Arn"])
        return None

    def _key_policy(self, key: str) -> dict[str, Any]:
        text = self._emulator.session().client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        return cast("dict[str, Any]", json.loads(text))


def _allows(policy: Mapping[str, Any], *, role: str, action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Return True if a resource's policy allows a role of another account an action.

    Conditions other than the equality of a known key count as not met.
    """
    account = role.split(":")[4]
    principals = {role, account, f"arn:aws:iam::{account}:root", "*"}
    return any(
        statement.get("Effect") == "Allow"
        and _meets(statement.get("Condition") or {}, context)
        and principals & set(_listed(_aws(statement.get("Principal", {}))))
        and any(fnmatch.fnmatchcase(action.lower(), each.lower()) for each in _listed(statement.get("Action", [])))
        and any(fnmatch.fnmatchcase(resource, each) for each in _listed(statement.get("Resource", [])))
        for statement in _listed(policy.get("Statement", []))
    )


def _meets(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    known = {key.lower(): value for key, value in context.items()}
    return all(
        operator in {"StringEquals", "StringLike"}
        and known.get(key.lower()) is not None
        and any(fnmatch.fnmatchcase(known[key.lower()], each) for each in _listed(values))
        for operator, tests in condition.items()
        for key, values in tests.items()
    )


def _aws(principal: Any) -> Any:
    return principal.get("AWS", []) if isinstance(principal, dict) else principal


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def pack(files: Iterable[tuple[Path, str]], target: Path) -> int:
    """Zip files with their permissions.

    Args:
        files: Files, each with its name in the zip.
        target: The zip.

    Returns:
        Number of files.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent)
    os.close(handle)
    staging = Path(name)
    number = 0
    try:
        with zipfile.ZipFile(staging, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as content:
            for number, (path, name) in enumerate(files, start=1):  # noqa: B007  # read after the loop
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.external_attr = (stat.S_IMODE(path.stat().st_mode) | stat.S_IFREG) << 16
                entry.compress_type = zipfile.ZIP_STORED if path.suffix in _STORED else zipfile.ZIP_DEFLATED
                content.writestr(entry, path.read_bytes())
        staging.replace(target)
    finally:
        staging.unlink(missing_ok=True)
    return number


def unpack(source: Path, folder: Path) -> None:
    """Unzip an artifact, with its files' permissions and times.

    Args:
        source: The zip.
        folder: A new folder.

    Raises:
        RehearsalError: It is not a zip, or an entry would be outside the folder.
    """
    folder.mkdir(parents=True)
    # Folders that were made here, and aren't links. A later entry can't replace one by a link.
    made = {folder}
    try:
        with zipfile.ZipFile(source) as content:
            for entry in content.infolist():
                _unpack_one(content, entry, folder, made)
    except zipfile.BadZipFile as error:
        raise RehearsalError(f"{source.name} is not a zip: {error}") from None


def _unpack_one(content: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, made: set[Path]) -> None:
    mode = entry.external_attr >> 16
    target = folder / entry.filename
    parent = target.parent
    # By its own name, or through an earlier link.
    is_inside = parent in made or parent.resolve().is_relative_to(folder.resolve())
    if not is_inside or ".." in Path(entry.filename).parts or target.is_symlink():
        raise RehearsalError(f"{entry.filename} of the artifact would lie outside its folder")
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    if parent not in made:
        parent.mkdir(parents=True, exist_ok=True)
        made.add(parent)
    if stat.S_ISLNK(mode):
        target.symlink_to(content.read(entry).decode())
        return
    target.write_bytes(content.read(entry))
    if mode:
        target.chmod(stat.S_IMODE(mode))
    # Older than everything that tools install beside it, like a checkout.
    os.utime(target, (0, 0))


def read_member(source: Path, name: str) -> str:
    """Return the text of one file in an artifact.

    Raises:
        RehearsalError: The artifact lacks the file.
    """
    with zipfile.ZipFile(source) as content:
        try:
            return content.read(name).decode()
        except KeyError:
            raise RehearsalError(f"the artifact contains no {name}") from None
