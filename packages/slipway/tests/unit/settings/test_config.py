"""Invalid configuration is reported completely, with one readable line per problem, and never with a traceback."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import specimen
from slipway import settings as config
from slipway.settings import ConfigurationError
from slipway.settings.model import EnvironmentKind, QueueReaderSettings
from unit.settings.configuration import FILES, Documents, pristine, put, take, write

Change = Callable[[Documents], None]


def _problems(folder: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        config.load(folder)
    lines = str(raised.value).splitlines()
    assert len(lines) == len(raised.value.problems)
    return lines


def _wrong(tmp_path: Path, change: Change) -> list[str]:
    documents = pristine()
    change(documents)
    return _problems(write(tmp_path, documents))


def _put(file: str, key: str, value: Any) -> Change:
    return lambda documents: put(documents[file], key, value)


def _take(file: str, key: str) -> Change:
    return lambda documents: take(documents[file], key)


def test_files_are_read_in_the_order_of_the_pipeline() -> None:
    settings = config.load(specimen.FOLDER)

    assert [environment.name for environment in settings.environments] == ["dev", "staging", "prod"]
    assert settings.environment("prod").account == "777788889999"


def test_documents_are_written_as_they_were_read(tmp_path: Path) -> None:
    assert config.load(write(tmp_path, pristine())) == specimen.SETTINGS


def test_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    folder = write(tmp_path, pristine())
    for path in folder.glob("*.toml"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert config.load(folder) == specimen.SETTINGS


@pytest.mark.parametrize("file", ["dev.toml", "pipeline.toml"])
def test_misspelt_region_is_refused_with_the_nearest(tmp_path: Path, file: str) -> None:
    lines = _wrong(tmp_path, _put(file, "region", "us-esat-1"))

    assert (
        f"config/{file}: region: 'us-esat-1' is not an AWS region in botocore's data; did you mean 'us-east-1'?"
        in lines
    )


@pytest.mark.parametrize(
    ("file", "key"),
    [("prod.toml", "alarms.emails"), ("pipeline.toml", "approval.emails"), ("pipeline.toml", "notifications.emails")],
)
def test_address_named_twice_is_refused(tmp_path: Path, file: str, key: str) -> None:
    twice = ["oncall@example.com", "other@example.com", "Oncall@example.com"]

    assert f"config/{file}: {key}: lists 'oncall@example.com' 2 times; list each address once" in _wrong(
        tmp_path, _put(file, key, twice)
    )


def test_an_unknown_environment_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="qa"):
        specimen.SETTINGS.environment("qa")


def test_settings_are_frozen() -> None:
    settings = specimen.SETTINGS

    with pytest.raises(ValidationError):
        settings.pipeline.account = "444444444444"  # type: ignore[misc]


def test_traffic_is_found_by_the_name_of_the_function() -> None:
    # Given that the API's function gets the requests, and each other function has its own key
    traffic = specimen.SETTINGS.environment("prod").services.intake.traffic

    assert traffic.of("api") == traffic.requests_per_second
    assert traffic.of("worker") == traffic.worker_invocations_per_second
    with pytest.raises(KeyError, match="stream_invocations_per_second"):
        traffic.of("stream")


@pytest.mark.requirement("the API")
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_put("dev.toml", "nonsense", 1), "config/dev.toml: nonsense = 1: is not a known key"),
        (
            _put("dev.toml", "services.catalog.nonsense", 1),
            "config/dev.toml: services.catalog.nonsense = 1: is not a known",
        ),
        (_put("dev.toml", "s3", 1), "config/dev.toml: s3 = 1: is not a known key"),
        (_put("pipeline.toml", "nonsense", True), "config/pipeline.toml: nonsense = True: is not a known key"),
        (_take("staging.toml", "account"), "config/staging.toml: account: is required"),
        (
            _take("prod.toml", "services.catalog.api.memory_mb"),
            "config/prod.toml: services.catalog.api.memory_mb: is req",
        ),
        (_take("pipeline.toml", "source.kind"), "config/pipeline.toml: source"),
        (
            _put("dev.toml", "account", 111122223333),
            "config/dev.toml: account = 111122223333: input should be a valid s",
        ),
        (_put("dev.toml", "account", "11112222333"), "config/dev.toml: account = '11112222333': must match"),
        (_put("dev.toml", "account", "\u0661" * 12), "config/dev.toml: account = '\u0661\u0661"),
        (_put("dev.toml", "region", "Virginia"), "config/dev.toml: region = 'Virginia': must match"),
        (_put("dev.toml", "waf.enabled", "yes"), "config/dev.toml: waf.enabled = 'yes': input should be a valid bool"),
        (_put("dev.toml", "waf.enabled", 1), "config/dev.toml: waf.enabled = 1: input should be a valid bool"),
        (_put("dev.toml", "logs", 7), "config/dev.toml: logs = 7: "),
        (
            _put("dev.toml", "logs.retention_days", 8),
            "config/dev.toml: logs.retention_days = 8: input should be 1, 3, 5",
        ),
        (
            _put("dev.toml", "logs.level", "LOUD"),
            "config/dev.toml: logs.level = 'LOUD': input should be 'DEBUG', 'INFO'",
        ),
        (_put("dev.toml", "alarms.emails", ["nobody"]), "config/dev.toml: alarms.emails.0 = 'nobody': must match"),
        (_put("dev.toml", "cors.origins", []), "config/dev.toml: cors.origins = []: "),
        (
            _put("dev.toml", "cors.origins", ["example.com"]),
            "config/dev.toml: cors.origins.0 = 'example.com': must match",
        ),
        (
            _put("dev.toml", "deployment.strategy", "Canary"),
            "config/dev.toml: deployment.strategy: 'Canary' must be AllAtOnce, Canary<percent>",
        ),
        (
            _put("dev.toml", "services.catalog.api.latency_alarm_ms", 30_000),
            "config/dev.toml: services.catalog.api: latency_alarm_ms must be at least a hundredth of the time-out",
        ),
        (
            _put("dev.toml", "services.catalog.api.latency_alarm_ms", 299),
            "config/dev.toml: services.catalog.api: latency_alarm_ms must be at least a hundredth of the time-out",
        ),
        (
            _put("dev.toml", "services.intake.worker.latency_alarm_ms", 3000),
            "config/dev.toml: services.intake.worker.latency_alarm_ms = 3000: is not a known key",
        ),
        (
            _put("dev.toml", "alarms.client_error_floor", 10),
            "config/dev.toml: alarms.client_error_floor = 10: input should be greater than or equal to 60",
        ),
        (
            _put("dev.toml", "waf.body_rules", "allow"),
            "config/dev.toml: waf.body_rules = 'allow': input should be 'count' or 'block'",
        ),
        (
            _put("prod.toml", "services.catalog.api.memory_mb", 64),
            "config/prod.toml: services.catalog.api.memory_mb = 64: input should be greater than or equal to 128",
        ),
        (
            _put("prod.toml", "services.catalog.api.timeout_seconds", 31),
            "config/prod.toml: services.catalog: api.timeout_seconds must be at most 30",
        ),
        (
            _put("prod.toml", "services.catalog.api.reserved_concurrency", 0),
            "config/prod.toml: services.catalog.api.reserved_concurrency = 0: input should be greater than or equal",
        ),
        (
            _put("dev.toml", "services.intake.worker.reserved_concurrency", 3),
            "config/dev.toml: services.intake.worker: reserved_concurrency must be at least 4 for a function",
        ),
        (
            _put("prod.toml", "services.catalog.api.provisioned_concurrency", {"minimum": 3, "maximum": 2}),
            "config/prod.toml: services.catalog.api.provisioned_concurrency: maximum must be at least minimum",
        ),
        (
            _put("prod.toml", "services.catalog.api.snap_start", True),
            "config/prod.toml: services.catalog.api: snap_start cannot be combined with provisioned_concurrency",
        ),
        (
            _put("prod.toml", "services.catalog.capacity.maximum", 24),
            "config/prod.toml: services.catalog.capacity: maximum must be at least as large as each of read, write",
        ),
        (
            _put("prod.toml", "services.catalog.capacity.target_utilization_percent", 95),
            "config/prod.toml: services.catalog.capacity.target_utilization_percent = 95: input should be less than or",
        ),
        (_put("prod.toml", "services.catalog.capacity.mode", "free"), "config/prod.toml: services.catalog.capacity = "),
        (
            _put("dev.toml", "services.catalog.throttle.rate", 10_001),
            "config/dev.toml: services.catalog.throttle.rate = 10001: input should be less than or equal to 10000",
        ),
        (
            _put("prod.toml", "services.catalog.traffic.requests_per_second", 0),
            "config/prod.toml: services.catalog.traffic.requests_per_second = 0: input should be greater than 0",
        ),
        (
            _put("prod.toml", "services.intake.traffic.worker_invocations_per_second", 10_001),
            "services.intake.traffic.worker_invocations_per_second = 10001: input should be less than or equal to 1",
        ),
        (
            _put("dev.toml", "services.studio.traffic.requests_per_second", 51),
            (
                "config/dev.toml: services.studio: traffic.requests_per_second must be at most throttle.rate, 50: "
                "the API refuses more"
            ),
        ),
        (_take("dev.toml", "services.catalog.traffic"), "config/dev.toml: services.catalog.traffic: is required"),
        (
            _put("dev.toml", "services.catalog.traffic.nobody_invocations_per_second", 1),
            "services.catalog.traffic.nobody_invocations_per_second = 1: is not a known key",
        ),
        (
            _put("dev.toml", "services.catalog.geo.allow", ["USA"]),
            "config/dev.toml: services.catalog.geo.allow.0 = 'USA': m",
        ),
        (
            _put(
                "prod.toml",
                "services.catalog.custom_domain",
                {
                    "name": "items.example.org",
                    "certificate_arn": "arn:aws:acm:us-east-1:777788889999:certificate/11111111-2222",
                    "hosted_zone_id": "Z0123456789",
                    "hosted_zone_name": "example.com",
                },
            ),
            "config/prod.toml: services.catalog.custom_domain: name must be within hosted_zone_name",
        ),
        (
            _put("prod.toml", "stateful.removal_policy", "destroy"),
            "config/prod.toml: stateful.removal_policy = 'destroy'",
        ),
        (
            _put("staging.toml", "stateful.removal_policy", "destroy"),
            "is allowed only with stateful.disposable = true; use 'retain'",
        ),
        (_put("staging.toml", "stateful.disposable", True), "must be 'destroy' with stateful.disposable = true"),
        (
            _put("dev.toml", "stateful.deletion_protection", True),
            "config/dev.toml: stateful.deletion_protection = true: must be false with stateful.disposable = true",
        ),
        (_put("dev.toml", "backup", {"keep_days": 7}), "config/dev.toml: backup: must be left out with stateful."),
        (_put("pipeline.toml", "stateful.removal_policy", "destroy"), "belongs in an environment's file; leave it out"),
        (_put("pipeline.toml", "stateful.disposable", True), "belongs in an environment's file; leave it out"),
        (
            _put("prod.toml", "stateful.deletion_protection", False),
            "stateful.deletion_protection = false: must be true",
        ),
        (_put("prod.toml", "stateful.termination_protection", False), "termination_protection = false: must be true"),
        (
            _put("staging.toml", "stateful.key_deletion_window_days", 6),
            "key_deletion_window_days = 6: input should be gr",
        ),
        (
            _put("prod.toml", "cors.origins", ["*"]),
            "config/prod.toml: cors.origins = '*': is allowed in development only",
        ),
        (
            _put("staging.toml", "waf.enabled", False),
            "config/staging.toml: waf.enabled = false: is allowed in development only",
        ),
        (
            _put("prod.toml", "alarms.emails", []),
            "config/prod.toml: alarms.emails = []: is allowed in development only",
        ),
        (_put("prod.toml", "name", "prod"), "config/prod.toml: name = 'prod': comes from the file's name"),
        (
            _put("prod.toml", "account", "111122223333"),
            "config/prod.toml: account = '111122223333': is also the account of dev",
        ),
        (
            _put("dev.toml", "account", "101112131415"),
            "dev.toml: account = '101112131415': is also the account of the pipeline",
        ),
        (
            _put("pipeline.toml", "approval_before", []),
            "config/pipeline.toml: approval_before = []: must name prod: production needs an approval",
        ),
        (_put("prod.toml", "attack", {}), "config/prod.toml: attack: is allowed only with kind = 'test'"),
        (_put("prod.toml", "performance", {}), "config/prod.toml: performance: is allowed only with kind = 'test'"),
        (_put("prod.toml", "resilience", {}), "config/prod.toml: resilience: is allowed only with kind = 'test'"),
        (_put("staging.toml", "resilience", {"minutes": 1}), "resilience.minutes = 1: input should be greater than or"),
        (_put("dev.toml", "attack", {}), "config/dev.toml: attack: is allowed only with kind = 'test'"),
        (_put("staging.toml", "attack", {"requests": 9}), "attack.requests = 9: input should be greater than or"),
        (_put("staging.toml", "attack", {"requests": 99_999}), "must be at most waf.requests_per_5_minutes, 2000"),
        (_take("dev.toml", "kind"), "config/dev.toml: kind: is required"),
        (
            _put("staging.toml", "kind", "prod"),
            "config/staging.toml: kind = 'prod': input should be 'development', 'test' or 'production'",
        ),
        (
            _put("pipeline.toml", "approval_before", ["prod", "qa"]),
            "approval_before = 'qa': is not one of dev, staging, p",
        ),
        (_put("pipeline.toml", "environments", []), "config/pipeline.toml: environments = []: "),
        (_put("pipeline.toml", "environments", ["dev", "prod", "dev"]), "environments = 'dev': is named twice"),
        (
            _put("pipeline.toml", "environments", ["dev", "prod", "qa"]),
            "config/qa.toml: is missing, and pipeline.toml nam",
        ),
        (_put("pipeline.toml", "environments", ["dev", "prod", "a\0b"]), "config/pipeline.toml: environments.2 = "),
        (_put("pipeline.toml", "environments", "dev"), "config/pipeline.toml: environments = 'dev': "),
        (
            _put("pipeline.toml", "source.connection_arn", "arn:aws:s3:::x"),
            "source.connection_arn = 'arn:aws:s3:::x': mu",
        ),
        (_put("pipeline.toml", "source.kind", "svn"), "config/pipeline.toml: source"),
        (
            _put("pipeline.toml", "gates.packs", ["AwsSolutions"]),
            "config/pipeline.toml: gates: packs must include Serve",
        ),
        (
            _put("pipeline.toml", "gates.review", "off"),
            "config/pipeline.toml: gates.review = 'off': is allowed only with an S3 source",
        ),
        (
            _put("pipeline.toml", "gates.review", "sometimes"),
            "config/pipeline.toml: gates.review = 'sometimes': input should be 'required' or 'off'",
        ),
        (_put("prod.toml", "gates.review", "off"), "config/prod.toml: gates.review = 'off': is not a known key"),
        (
            _put("pipeline.toml", "gates.packs", ["Mine"]),
            "config/pipeline.toml: gates.packs.0 = 'Mine': input should be",
        ),
        (
            _put("prod.toml", "gates.packs", ["HIPAA.Security"]),
            "config/prod.toml: gates: packs must include AwsSolutions, Serverless",
        ),
        (
            _put("staging.toml", "gates.packs", ["AwsSolutions", "Serverless", "HIPAA"]),
            "config/staging.toml: gates.packs.2 = 'HIPAA': input should be 'AwsSolutions', 'Serverless', 'NIST",
        ),
        (
            _put("dev.toml", "gates.packs", ["AwsSolutions", "Serverless", "Serverless"]),
            "config/dev.toml: gates: packs must list each pack only once",
        ),
        (_put("dev.toml", "gates.pack", []), "config/dev.toml: gates.pack = []: is not a known key"),
        (_take("prod.toml", "gates"), "config/prod.toml: gates: is required"),
        (_put("prod.toml", "backup.keep_days", 0), "config/prod.toml: backup.keep_days = 0: input should be greater"),
        (_put("prod.toml", "backup.hour_utc", 24), "config/prod.toml: backup.hour_utc = 24: input should be less"),
        (_put("prod.toml", "backup.day", 1), "config/prod.toml: backup.day = 1: is not a known key"),
        (_put("pipeline.toml", "artifact_days", 0), "config/pipeline.toml: artifact_days = 0: input should be greater"),
        (_put("pipeline.toml", "qualifier", "Too-Long"), "config/pipeline.toml: qualifier = 'Too-Long': must match"),
    ],
)
def test_one_problem_is_one_line_with_file_and_key(tmp_path: Path, change: Change, line: str) -> None:
    # Given the committed files with one change
    # When they are read
    lines = _wrong(tmp_path, change)

    # Then one line reports it
    assert len(lines) == 1, lines
    assert line in lines[0]
    assert lines[0].startswith("config/")


def test_all_problems_of_all_files_are_reported_together(tmp_path: Path) -> None:
    # Given errors in three files, two of them in one file
    documents = pristine()
    put(documents["dev.toml"], "account", "1")
    put(documents["dev.toml"], "waf.nonsense", 1)
    put(documents["prod.toml"], "stateful.removal_policy", "destroy")
    put(documents["pipeline.toml"], "approval_before", ["qa"])

    # When they are read
    lines = _problems(write(tmp_path, documents))

    # Then each of them is reported
    assert [line.partition(" = ")[0] for line in lines] == [
        "config/dev.toml: account",
        "config/dev.toml: waf.nonsense",
        "config/pipeline.toml: approval_before",
        "config/pipeline.toml: approval_before",
        "config/prod.toml: stateful.removal_policy",
    ]


def test_rule_across_keys_is_not_hidden_by_other_problems(tmp_path: Path) -> None:
    # Given a wrong type and, elsewhere in the file, a value only allowed in development
    documents = pristine()
    put(documents["prod.toml"], "logs.retention_days", "long")
    put(documents["prod.toml"], "cors.origins", ["*"])

    assert len(_problems(write(tmp_path, documents))) == 2


def test_a_problem_of_the_pipeline_hides_no_others(tmp_path: Path) -> None:
    documents = pristine()
    put(documents["pipeline.toml"], "account", "1")
    put(documents["dev.toml"], "region", "nowhere")

    assert len(_problems(write(tmp_path, documents))) == 2


@pytest.mark.parametrize(
    ("kinds", "waiting"),
    [
        (("development", "test", "production"), ("c",)),
        (("development", "production", "production"), ("b",)),
        (("production", "test", "production"), ("a", "c")),
        (("test", "development", "test"), ()),
    ],
)
def test_production_waits_for_an_approval_by_default(
    tmp_path: Path, kinds: tuple[str, ...], waiting: tuple[str, ...]
) -> None:
    # Given environments with arbitrary names, and a pipeline without a setting for approvals
    documents = pristine()
    take(documents["pipeline.toml"], "approval_before")
    put(documents["pipeline.toml"], "environments", ["a", "b", "c"])
    for name, kind, number in zip("abc", kinds, "456", strict=True):
        documents[f"{name}.toml"] = {**documents["prod.toml"], "kind": kind, "account": number * 12}

    settings = config.load(write(tmp_path, documents))

    # Then there is one approval before each sequence of production environments
    assert settings.pipeline.approval_before == waiting
    for kind in EnvironmentKind:
        found = [environment.name for environment in settings.of_kind(kind)]
        assert found == [name for name, of in zip("abc", kinds, strict=True) if of == kind]


def test_rules_depend_on_the_kind_not_the_name(tmp_path: Path) -> None:
    # Given dev.toml as production, and prod.toml as development
    documents = pristine()
    put(documents["dev.toml"], "kind", "production")
    put(documents["prod.toml"], "kind", "development")
    put(documents["prod.toml"], "cors.origins", ["*"])
    put(documents["prod.toml"], "stateful.deletion_protection", False)
    put(documents["pipeline.toml"], "approval_before", ["dev"])

    lines = _problems(write(tmp_path, documents))

    # Then dev.toml is refused for what production may not have, and prod.toml is not
    assert {line.partition(":")[0] for line in lines} == {"config/dev.toml"}
    for key in ("cors.origins", "waf.enabled", "stateful.deletion_protection", "stateful.termination_protection"):
        assert any(line.startswith(f"config/dev.toml: {key} = ") for line in lines), key


def test_environments_may_share_an_account_if_configured(tmp_path: Path) -> None:
    documents = pristine()
    put(documents["staging.toml"], "account", "111122223333")
    put(documents["pipeline.toml"], "share_accounts", True)

    settings = config.load(write(tmp_path, documents))

    assert settings.environment("staging").account == settings.environment("dev").account


def test_a_single_environment_needs_no_other_file(tmp_path: Path) -> None:
    documents = pristine()
    put(documents["pipeline.toml"], "environments", ["dev"])
    put(documents["pipeline.toml"], "approval_before", [])
    for name in ("staging.toml", "prod.toml"):
        del documents[name]

    assert [environment.name for environment in config.load(write(tmp_path, documents)).environments] == ["dev"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"account = [", "is not valid TOML ("),
        (b"account = 1\naccount = 2\n", "is not valid TOML ("),
        (b"\xff\xfe", "cannot be read as UTF-8 text ("),
        (b"account = " + b"9" * 5000, "is not valid TOML ("),
        (b"account = " + b"[" * 5000, "is not valid TOML ("),
        (b"", "account: is required"),
    ],
    ids=["broken", "a key twice", "not UTF-8", "a number too long", "too deep", "empty"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, file: str, content: bytes, says: str) -> None:
    # Given one invalid file
    for name in FILES:
        shutil.copy(specimen.FOLDER / name, tmp_path / name)
    (tmp_path / file).write_bytes(content)

    # When the files are read
    lines = _problems(tmp_path)

    # Then each line names that file
    assert any(line.startswith(f"config/{file}: ") and says in line for line in lines), lines
    assert all(line.startswith(f"config/{file}: ") for line in lines)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (line,) = _problems(tmp_path)

    assert line == "config/pipeline.toml: is missing, and every configuration needs it"


def test_a_folder_instead_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").mkdir()

    (line,) = _problems(tmp_path)

    assert line.startswith("config/pipeline.toml: cannot be read")


def test_a_key_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    documents = pristine()
    documents["dev.toml"]["two\nlines"] = 1

    assert len(_problems(write(tmp_path, documents))) == 1


def test_number_with_thousands_of_digits_is_a_problem(tmp_path: Path) -> None:
    shutil.copytree(specimen.FOLDER, tmp_path / "config", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    path = tmp_path / "config" / "dev.toml"
    path.write_text(f"nonsense = 0x{'f' * 5000}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")

    (line,) = _problems(tmp_path / "config")

    assert "nonsense" in line


def test_ids_are_eight_characters_and_deterministic() -> None:
    dev, staging, _ = specimen.SETTINGS.environments

    assert len(dev.unique_id("catalog")) == 8
    assert int(dev.unique_id("catalog"), 16) >= 0
    assert len({dev.unique_id("catalog"), dev.unique_id("intake"), staging.unique_id("catalog")}) == 3
    # This id is part of a bucket's name and must never change
    assert dev.unique_id("catalog") == specimen.SETTINGS.environment("dev").unique_id("catalog")


@pytest.mark.requirement("bucket names that anybody can take beforehand")
def test_a_salt_changes_names_and_its_absence_does_not() -> None:
    dev = specimen.SETTINGS.environment("dev").model_copy(
        update={"account": "101112131415", "region": "eu-west-1", "name": "blue", "name_salt": ""}
    )
    salted = dev.model_copy(update={"name_salt": "f00"})

    # This id is part of a bucket's name and must never change
    assert dev.unique_id("orders") == hashlib.sha256(b"101112131415/eu-west-1/blue/orders").hexdigest()[:8]
    assert salted.unique_id("orders") not in {dev.unique_id("orders"), dev.unique_id("f00")}


def test_queue_readers_reserve_more_than_their_batches() -> None:
    reader = QueueReaderSettings(memory_mb=128, timeout_seconds=3, reserved_concurrency=10)

    assert reader.batches == 8
    assert reader.model_copy(update={"reserved_concurrency": None}).batches is None


def test_names_follow_from_the_app_unless_set(tmp_path: Path) -> None:
    # Given a name, without the settings that are derived from it
    documents = pristine()
    put(documents["pipeline.toml"], "name", "acme-shop")
    for key in ("bucket_prefix", "key_alias"):
        take(documents["pipeline.toml"], key)

    settings = config.load(write(tmp_path, documents))

    pipeline = settings.pipeline
    assert (pipeline.app, pipeline.bucket_prefix, pipeline.key_alias) == (
        "acme-shop",
        "acme-shop",
        "acme-shop-pipeline",
    )
    assert pipeline.permissions_boundary == "acme-shop-bootstrap-permissions-boundary"
    assert {(each.app, each.bucket_prefix) for each in settings.environments} == {("acme-shop", "acme-shop")}
    # The name of the pipeline's own place does not change
    assert pipeline.name == "tools"


@pytest.mark.parametrize("name", ["Acme", "acme_shop", "1acme", "a" * 33, "acme-", "my-pipeline", "bootstrapper", 7])
def test_impossible_app_name_is_one_line(tmp_path: Path, name: Any) -> None:
    (line,) = _wrong(tmp_path, _put("pipeline.toml", "name", name))

    assert line.startswith("config/pipeline.toml: name")


@pytest.mark.parametrize(
    ("file", "key"), [("dev.toml", "app"), ("dev.toml", "bucket_prefix"), ("pipeline.toml", "app")]
)
def test_derived_names_cannot_be_set(tmp_path: Path, file: str, key: str) -> None:
    (line,) = _wrong(tmp_path, _put(file, key, "acme"))

    assert line.startswith(f"config/{file}: {key} = 'acme': ")


def test_runbooks_are_those_of_the_repository(tmp_path: Path) -> None:
    # Given an environment without an address of runbooks
    documents = pristine()
    take(documents["dev.toml"], "alarms.runbooks")
    put(documents["pipeline.toml"], "source.repository", "acme/shop")
    put(documents["pipeline.toml"], "source.branch", "trunk")
    named = documents["prod.toml"]["alarms"]["runbooks"]

    settings = config.load(write(tmp_path, documents))

    runbooks = settings.environment("dev").alarms.runbooks
    assert runbooks == "https://github.com/acme/shop/blob/trunk/docs/runbooks"
    # An environment with an address keeps it
    assert settings.environment("prod").alarms.runbooks == named


def test_runbooks_of_another_source_are_required(tmp_path: Path) -> None:
    documents = pristine()
    take(documents["dev.toml"], "alarms.runbooks")
    documents["pipeline.toml"]["source"] = {"kind": "s3", "bucket": "a-source-bucket", "key": "app.zip"}

    assert _problems(write(tmp_path, documents)) == ["config/dev.toml: alarms.runbooks: is required"]
