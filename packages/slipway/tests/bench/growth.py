"""How cost grows with the number of services: synthesis, gates, review, and resources that AWS limits.

Run `python -m bench.growth` for the table and the picture of `docs/scaling.md`. Each size is built in its own process,
from copies of the app's services, for every configured environment. Times are processor seconds, including children's,
so that other work on the machine does not change them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.growth_page import Size, write_page
from bench.rows import Row
from slipway import settings as config
from slipway.app import RUNBOOKS
from slipway.blocks.assets import MANIFEST_FILE, AssetManifest, AssetRecord, AssetStore, file_digest
from slipway.gates.packs import packs_of
from slipway.nag.packs import prepare, register
from slipway.nag.verdict import judge
from slipway.project import ROOT
from slipway.review.run import review
from slipway.rules.aws.pack import OnlyAwsRules
from slipway.rules.pack import SlipwayRules
from slipway.service import Service
from slipway.testing.app import delivery

SIZES = (3, 10, 30)


def measure(sizes: Sequence[int] = SIZES) -> list[Size]:
    """Measure each size in its own process.

    Raises:
        RuntimeError: An app of that size cannot be built.
    """
    return [_measured(services) for services in sizes]


def rows(sizes: Sequence[Size]) -> list[Row]:
    """Return the growth of the cost per additional service, where 1 is linear.

    Args:
        sizes: Three sizes, in ascending order.
    """
    small, middle, large = sizes

    def growth(figure: str) -> float:
        first, second, third = (float(getattr(size, figure)) for size in (small, middle, large))
        before = (second - first) / (middle.services - small.services)
        after = (third - second) / (large.services - middle.services)
        return after / before

    counts = ", ".join(str(size.services) for size in sizes)
    return [
        Row(f"growth of the cost of one more service: {name}", growth(figure), "x", 1.2, f"between {counts} services")
        for name, figure in {
            "synthesis with its gates": "synth_seconds",
            "review": "review_seconds",
            "assembly": "assembly_bytes",
            "template of the pipeline": "pipeline_bytes",
            "actions of the pipeline": "actions",
        }.items()
    ]


def _measured(services: int) -> Size:
    command = [sys.executable, "-O", "-m", "bench.growth", "--one", str(services)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{services} services: {done.stderr.strip()[-2000:]}")
    return Size(**json.loads(done.stdout.splitlines()[-1]))


def copies(services: int) -> list[type[Service]]:
    """Return this number of services: copies of the app's own in turn, each under its own name."""
    own = delivery().services
    return [
        own[number] if number < len(own) else _copy(own[number % len(own)], number // len(own) + 1)
        for number in range(services)
    ]


def _copy(service: type[Service], number: int) -> type[Service]:
    return type(f"{service.__name__}{number}", (service,), {"name": f"{service.name}{number}"})


def build_one(services: int, folder: Path) -> Size:
    """Build, judge and review an app with this number of services.

    Args:
        services: Number of services.
        folder: An empty folder to work in.
    """
    started = _processor_seconds()
    prepare()
    settings = config.load()
    chosen = copies(services)
    app = delivery().build(settings, _assets(folder / "assets", chosen), outdir=str(folder / "head"), services=chosen)
    packs = packs_of(settings)
    register(app, packs, own=[OnlyAwsRules(), SlipwayRules(settings, RUNBOOKS)])
    since = datetime.now(UTC)
    assembly = Path(app.synth().directory)
    verdict = judge(assembly, packs, today=since.date(), since=since.timestamp(), complete=False)
    synth = _processor_seconds() - started
    return Size(
        services=services,
        synth_seconds=synth,
        review_seconds=_review(assembly, folder / "base"),
        findings=len(verdict.findings),
        **_sizes(assembly),
    )


def _sizes(assembly: Path) -> dict[str, int]:
    """Return the counts of `Size` that can be read from an assembly."""
    templates = list(assembly.rglob("*.template.json"))
    bodies = {path: json.loads(path.read_text(encoding="utf-8")) for path in templates}
    pipeline = assembly / "Pipeline.template.json"
    of_pipeline = bodies[pipeline]["Resources"]
    (definition,) = (each for each in of_pipeline.values() if each["Type"] == "AWS::CodePipeline::Pipeline")
    stages = definition["Properties"]["Stages"]
    return {
        "stacks": len(templates),
        "resources": sum(len(body["Resources"]) for body in bodies.values()),
        "assembly_bytes": sum(path.stat().st_size for path in assembly.rglob("*.json")),
        "pipeline_resources": len(of_pipeline),
        "pipeline_bytes": pipeline.stat().st_size,
        "stages": len(stages),
        "actions": sum(len(stage["Actions"]) for stage in stages),
        "actions_per_stage": max(len(stage["Actions"]) for stage in stages),
    }


def _review(head: Path, base: Path) -> float:
    """Return the processor seconds of a review after one function's memory was changed."""
    shutil.copytree(head, base)
    template = next(path for path in sorted(base.rglob("*Compute*.template.json")))
    body = json.loads(template.read_text(encoding="utf-8"))
    function = next(each for each in body["Resources"].values() if each["Type"] == "AWS::Lambda::Function")
    function["Properties"]["MemorySize"] = 512
    template.write_text(json.dumps(body), encoding="utf-8")
    started = _processor_seconds()
    review(str(base), str(head), project=ROOT)
    return _processor_seconds() - started


def _assets(folder: Path, services: Sequence[type[Service]]) -> AssetStore:
    """Return the built assets, with the original's zip for each copy of a service under its own name."""
    folder.mkdir()
    built = AssetStore()
    originals = {service.name: service.name for service in delivery().services}
    originals |= {service.name: service.__mro__[1].name for service in services if service not in delivery().services}  # type: ignore[attr-defined] # a service's base is one
    records: dict[str, AssetRecord] = {}
    for name, original in (originals | {"pipeline": "pipeline", "layer": "layer"}).items():
        path = folder / f"{name}.zip"
        shutil.copyfile(built.path(original), path)
        if name != original:
            # Different content, as for real services: CDK uploads equal files only once
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(zipfile.ZipInfo("name.txt"), name)
        digest = file_digest(path)
        assert digest is not None
        records[name] = AssetRecord(sha256=digest, inputs=digest, unzipped_bytes=built.record(original).unzipped_bytes)
    (folder / MANIFEST_FILE).write_text(AssetManifest(assets=records).model_dump_json(), encoding="utf-8")
    return AssetStore(folder)


def _processor_seconds() -> float:
    """Return the processor time of this process and its descendants, including ended ones."""
    total = sum(os.times()[:4])
    for child in psutil.Process().children(recursive=True):
        used = child.cpu_times()
        total += used.user + used.system + used.children_user + used.children_system
    return total


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=3, default=SIZES, help="numbers of services (default 3 10 30)")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(json.dumps(asdict(build_one(options.one, Path(folder)))) + "\n")
        return 0
    write_page(measure(options.sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
