"""The change review on this repository's real deployments: quiet for harmless changes, loud for others."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

import specimen
from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN, changed, pipeline_settings
from slipway.blocks.assets import MANIFEST_FILE, AssetManifest, AssetStore, file_digest
from slipway.review.assembly import Assembly, read_assembly
from slipway.review.comparison import Comparison, Fate, compare
from slipway.review.findings import Severity
from slipway.revisions.synthesis import DRIVER
from slipway.revisions.synthesis import environment as surroundings
from slipway.service import Service
from slipway.settings import Environment, Settings
from slipway.settings.model import ROLLBACK_DAYS
from slipway.testing.synthesis import write_assets
from specimen.services.catalog.infrastructure import Catalog
from specimen.services.intake.infrastructure import Intake
from specimen.services.studio.infrastructure import Studio
from stages.service_stage import ServiceStage

pytestmark = pytest.mark.requirement("gates before any account")

ROOT = Path(__file__).resolve().parents[4]
PROD = SPECIMEN.environment("prod")


def _synthesised(app: App) -> Assembly:
    return read_assembly(Path(app.synth().directory))


def _service(environment: Environment, service: type[Service] = Catalog, assets: AssetStore | None = None) -> Assembly:
    app = synthesis.new_app()
    ServiceStage(app, service=service(environment=environment, assets=assets or synthesis.assets()))
    return _synthesised(app)


@cache
def _prod(service: type[Service] = Catalog) -> Assembly:
    return _service(PROD, service)


@cache
def _pipeline() -> Assembly:
    return _delivery(SPECIMEN)


def _delivery(settings: Settings) -> Assembly:
    _, _, folder = synthesis.pipeline(settings)
    return read_assembly(folder)


def _kinds(comparison: Comparison, *severities: Severity) -> set[str]:
    return {finding.kind for finding in comparison.findings if not severities or finding.severity in severities}


@pytest.mark.parametrize("service", [Catalog, Intake, Studio], ids=lambda service: service.name)
def test_the_same_settings_change_nothing(service: type[Service]) -> None:
    # Given a second synthesis of the same sources
    assert compare(_prod(service), _service(PROD, service)).is_empty


def test_new_code_is_one_quiet_line(tmp_path: Path) -> None:
    # Given zips with one byte changed
    write_assets(tmp_path, specimen.MODELS)
    manifest = AssetManifest.model_validate_json((tmp_path / MANIFEST_FILE).read_bytes())
    records = {}
    for name, record in manifest.assets.items():
        path = tmp_path / f"{name}.zip"
        path.write_bytes(path.read_bytes() + b"x")
        records[name] = record.model_copy(update={"sha256": file_digest(path)})
    (tmp_path / MANIFEST_FILE).write_text(AssetManifest(assets=records).model_dump_json(), encoding="utf-8")

    comparison = compare(_prod(), _service(PROD, assets=AssetStore(tmp_path)))

    # Then there are no findings, and no resource is listed
    assert not comparison.findings
    assert not any(stage.stacks for stage in comparison.stages)
    assert comparison.code.functions > 3
    assert comparison.code.layers == 2
    assert comparison.code.versions == comparison.code.functions


def test_a_larger_function_is_a_change_but_not_a_finding() -> None:
    comparison = compare(_prod(), _service(changed(PROD, {"services.catalog.api.memory_mb": 1024})))

    assert not comparison.findings
    assert [
        (change.resource, change.properties)
        for stage in comparison.stages
        for stack in stage.stacks
        for change in stack.changes
    ] == [("prod-catalog/Compute/ApiFunction/Function", ("MemorySize",))]


LOOSENED: dict[type[Service], dict[str, tuple[Any, str]]] = {
    Catalog: {
        "stateful.deletion_protection": (False, "protection-dropped"),
        "logs.retention_days": (7, "retention-shortened"),
        "deployment.strategy": ("AllAtOnce", "canary-loosened"),
        "services.catalog.api.latency_alarm_ms": (20_000, "alarm-loosened"),
        "cors.origins": (["https://app.example.com", "https://other.example"], "cors-widened"),
        "waf.requests_per_5_minutes": (1_000_000, "waf-loosened"),
        "services.catalog.geo.allow": (["US", "CA", "GB", "DE", "JP", "FR"], "geo-widened"),
        "services.catalog.api.reserved_concurrency": (None, "concurrency-dropped"),
        "services.catalog.throttle": ({"rate": 5000, "burst": 5000}, "throttle-raised"),
        "alarms.emails": (["nobody@example.com"], "subscriber-removed"),
    },
    Studio: {
        "services.studio.user_pool.threat_protection": (False, "sign-in-loosened"),
        "services.studio.uploads.versioned": (False, "backup-dropped"),
        "services.studio.uploads.expire_days": (1, "retention-shortened"),
    },
}
"""Settings that loosen something, with the expected findings."""


@pytest.mark.parametrize("service", LOOSENED, ids=lambda service: service.name)
def test_loosened_settings_are_found(service: type[Service]) -> None:
    # Given all of them in one synthesis; the planted cases test each separately
    loosened = changed(PROD, {key: value for key, (value, _) in LOOSENED[service].items()})

    assert {kind for _, kind in LOOSENED[service].values()} <= _kinds(
        compare(_prod(service), _service(loosened, service))
    )


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"stateful.removal_policy": "destroy"}, "protection-dropped"), ({"region": "eu-central-1"}, "stack-removed")],
    ids=str,
)
def test_loosened_stack_settings_are_found(changes: dict[str, Any], kind: str) -> None:
    assert kind in _kinds(compare(_prod(), _service(changed(PROD, changes))))


def test_cors_origin_is_reported_once_per_stack() -> None:
    comparison = compare(_prod(), _service(changed(PROD, {"cors.origins": ["https://other.example"]})))

    (found,) = [finding for finding in comparison.findings if finding.kind == "cors-widened"]
    assert len(found.details) > 10


# The pipeline


@pytest.mark.parametrize(
    ("changes", "kind", "severity"),
    [
        ({"approval_before": []}, "approval-removed", Severity.CRITICAL),
        ({"approval": {"emails": ["a@example.com"], "timeout_hours": 2}}, "approval-changed", Severity.LOW),
        ({"source": {"kind": "codecommit", "repository": "other", "branch": "main"}}, "source-changed", Severity.HIGH),
        ({"artifact_days": ROLLBACK_DAYS}, "retention-shortened", Severity.HIGH),
        ({"notifications": {"emails": ["nobody@example.com"]}}, "subscriber-removed", Severity.MEDIUM),
    ],
    ids=str,
)
def test_loosened_pipeline_settings_are_found(changes: dict[str, Any], kind: str, severity: Severity) -> None:
    comparison = compare(_pipeline(), _delivery(pipeline_settings(**changes)))

    found = [finding for finding in comparison.findings if finding.kind == kind]
    assert found
    assert min(found, key=lambda finding: finding.severity.rank).severity == severity
    assert all(finding.stage == "pipeline" for finding in found)


def test_a_removed_bake_and_freeze_are_found() -> None:
    dev, staging, prod = SPECIMEN.environments
    frozen = pipeline_settings((dev, staging, changed(prod, {"deployment.frozen": True})))
    hasty = pipeline_settings((dev, staging, changed(prod, {"deployment.bake_minutes": 0})))

    assert "transition-enabled" in _kinds(compare(_delivery(frozen), _pipeline()))
    assert {"condition-loosened", "alarm-removed"} <= _kinds(compare(_pipeline(), _delivery(hasty)))


def test_an_added_environment_stops_nothing() -> None:
    dev, staging, prod = SPECIMEN.environments
    preview = changed(staging, {"name": "preview", "account": "444444444444"})

    comparison = compare(_pipeline(), _delivery(pipeline_settings((dev, preview, staging, prod))))

    assert not [finding.what for finding in comparison.findings if finding.severity == Severity.CRITICAL]
    added = [
        stage.name
        for stage in comparison.stages
        if stage.stacks and all(stack.fate == Fate.ADDED for stack in stage.stacks)
    ]
    assert added == ["preview-foundation", "preview-tiny", "preview-small"]


def test_another_account_is_another_deployment() -> None:
    dev, staging, prod = SPECIMEN.environments
    moved = pipeline_settings((dev, staging, changed(prod, {"account": "444444444444"})))

    comparison = compare(_pipeline(), _delivery(moved))

    # Then the stacks of the first one are kept, and none of their resources is reported as removed
    stacks = {finding.stack for finding in comparison.findings if finding.kind == "stack-removed"}
    assert {"prod-foundation", "prod-tiny-data"} <= stacks
    gone = [stage for stage in comparison.stages if stage.name.startswith("prod-")]
    assert not any(stage.count(Fate.REMOVED) for stage in gone)


def test_a_removed_environment_stays_deployed() -> None:
    dev, staging, prod = SPECIMEN.environments
    comparison = compare(_delivery(pipeline_settings((dev, staging, prod))), _delivery(pipeline_settings((dev, prod))))

    stacks = {finding.stack for finding in comparison.findings if finding.kind == "stack-removed"}
    assert "staging-foundation" in stacks
    assert "stage-removed" in _kinds(comparison)


# Synthesis


@pytest.mark.timeout(600)
def test_the_review_synthesises_the_same_as_the_cli(tmp_path: Path) -> None:
    # Given a checkout of the specimen with one service, and placeholder assets
    repository = specimen.checkout(tmp_path / "repository")
    write_assets(repository / "build" / "assets", specimen.MODELS)
    only = {"SLIPWAY_SERVICES": "catalog"}
    interpreter = Path(sys.executable)
    path = os.pathsep.join((str(interpreter.parent), str(ROOT / "node_modules" / ".bin"), os.environ["PATH"]))
    told = {**os.environ, **only, "PATH": path, "HOME": str(tmp_path), "CDK_DISABLE_CLI_TELEMETRY": "true"}

    # When the CLI and the review's driver synthesise it
    cli = ["cdk", "synth", "--quiet", "--no-notices", "--output", str(tmp_path / "cli")]
    driver = [sys.executable, "-O", str(DRIVER), str(tmp_path / "driver")]
    with ThreadPoolExecutor() as threads:
        said = [
            done.stdout
            for done in threads.map(
                lambda run: subprocess.run(
                    run[0],
                    cwd=repository,
                    env=run[1],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=500,
                    check=False,
                ),
                ((cli, {**told, "CDK_VALIDATION": "false"}), (driver, {**surroundings(repository), **only})),
            )
        ]

    # Then all templates are identical, byte for byte
    templates = {path.relative_to(tmp_path / "driver") for path in (tmp_path / "driver").rglob("*.template.json")}
    assert len(templates) >= 13, said
    for template in templates:
        assert (tmp_path / "cli" / template).read_bytes() == (tmp_path / "driver" / template).read_bytes(), template
