"""Upload the reports of a build for the approver: `slipway publish`.

The pages are stored in the artifact bucket under the commit. The address is that of the object in the S3 console: it
does not expire, and a reader needs permission to read the object; a signed address would work for anybody, and expire
within hours (`docs/pipeline.md`). Outside the pipeline's build nothing is published. The JUnit reports are condensed
beside it, for CodeBuild, which shows at most 500 cases.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from slipway.errors import SlipwayError
from slipway.tasks.junit import condense
from slipway.tasks.reports import ADDRESS_FILE, BUCKET, CONDENSED, FOLDER, PAGES, PREFIX

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_COMMIT = "CODEBUILD_RESOLVED_SOURCE_VERSION"
_REGION = "AWS_REGION"
_BUILD = "CODEBUILD_BUILD_URL"
_CONSOLES = (("us-gov-", "console.amazonaws-us-gov.com"), ("cn-", "console.amazonaws.cn"))


class PublicationError(SlipwayError):
    """The reports cannot be stored. The message is one line."""


def publish(root: Path = Path(), *, env: Mapping[str, str] = os.environ, client: S3Client | None = None) -> str | None:
    """Store the reports, and the address for the approver: that of the page, or of the build itself.

    Args:
        root: The repository.
        env: The environment variables.
        client: Client of S3. Default: one for the build's own region and role.

    Returns:
        The address; None outside of the pipeline's build.

    Raises:
        PublicationError: The bucket cannot be written.
    """
    address_file, folder = root / ADDRESS_FILE, root / FOLDER
    # The address of another build belongs to another change.
    address_file.unlink(missing_ok=True)
    if BUCKET not in env:
        return None
    bucket, commit, region = env[BUCKET], env.get(_COMMIT, "unknown"), env.get(_REGION, "us-east-1")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    keys = {path: f"{PREFIX}/{commit}/{path.relative_to(folder).as_posix()}" for path in files}
    _upload(keys, bucket, client or boto3.client("s3", region_name=region))
    page = next((keys[folder / name] for name in PAGES if folder / name in keys), None)
    address = console_address(bucket, page, region) if page else env.get(_BUILD, "")
    address_file.parent.mkdir(parents=True, exist_ok=True)
    address_file.write_text(address, encoding="utf-8")
    return address


def keep(files: Iterable[Path], environment: str, *, env: Mapping[str, str] = os.environ) -> list[str]:
    """Store reports of a step beside those of the build whose change it tests.

    Args:
        files: The reports.
        environment: Name of the tested environment; the step may only write below this name.
        env: The environment variables.

    Returns:
        Their keys in the bucket; empty outside the pipeline's build.

    Raises:
        PublicationError: The bucket cannot be written.
    """
    if BUCKET not in env:
        return []
    folder = f"{PREFIX}/{env.get(_COMMIT, 'unknown')}/{environment}"
    keys = {path: f"{folder}/{path.name}" for path in files}
    _upload(keys, env[BUCKET], boto3.client("s3", region_name=env.get(_REGION, "us-east-1")))
    return list(keys.values())


def _upload(keys: Mapping[Path, str], bucket: str, client: S3Client) -> None:
    try:
        for path, key in keys.items():
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            text = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
            client.upload_file(str(path), bucket, key, ExtraArgs={"ContentType": text})
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise PublicationError(f"the reports cannot be stored in {bucket}: {error}") from None


def console_address(bucket: str, key: str, region: str) -> str:
    """Return the address of an object in the console.

    Args:
        bucket: Its bucket.
        key: Its key.
        region: The bucket's region, which decides whose console it is.
    """
    console = next((host for prefix, host in _CONSOLES if region.startswith(prefix)), "console.aws.amazon.com")
    return f"https://{region}.{console}/s3/object/{bucket}?region={region}&prefix={quote(key)}"


def publish_reports() -> None:
    """Store the reports of this build.

    Exit code: 0 if they are stored or if there is no bucket, 1 if the bucket refuses them.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    condense(Path(CONDENSED).parent.glob("*.xml"), Path(CONDENSED) / "tests.xml")
    address = publish()
    where = f"reports: {address}" if address else f"the reports stay in {FOLDER}"
    console.print(where, markup=False)
