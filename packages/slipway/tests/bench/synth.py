"""The cost of `make synth`: time, memory of the whole process tree, and size of the output."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.rows import Row
from slipway.project import ROOT

SECONDS_GOAL = 10.0
"""Three services in three environments with all packs."""

_SAMPLE_SECONDS = 0.25
"""Reading every process of a tree takes time from the synthesis."""


def measure(*, runs: int) -> list[Row]:
    """Run the verb's command with a separate output folder.

    Args:
        runs: Number of runs; time is their median, memory their maximum.

    Raises:
        RuntimeError: The synthesis failed, or the nag gate is red.
    """
    seconds: list[float] = []
    peaks: list[int] = []
    resources = 0
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            taken, peak = _synth(Path(folder))
            resources = sum(
                len(json.loads(template.read_text(encoding="utf-8"))["Resources"])
                for template in Path(folder, "cdk.out").rglob("*.template.json")
            )
        seconds.append(taken)
        peaks.append(peak)
    median = statistics.median(seconds)
    return [
        Row("synth, all environments, all packs", median, "s", SECONDS_GOAL, f"median of {runs}"),
        Row(
            "synth, peak memory with its children",
            max(peaks) / 1e6,
            "MB",
            detail="resident, shared pages counted twice",
        ),
        Row("synth, resources", resources, ""),
        Row("synth, resources a second", resources / median, "/s"),
    ]


def _synth(folder: Path) -> tuple[float, int]:
    binaries = os.pathsep.join((str(Path(sys.executable).parent), str(ROOT / "node_modules" / ".bin")))
    environment = os.environ | {
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}",
        # The CLI keeps caches in the home folder, on which the measurement must not depend
        "HOME": str(folder),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        # Except jsii's cache of unpacked CDK packages, which every run but a machine's first has
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(ROOT / "build" / "bench" / "jsii"),
    }
    command = ["cdk", "synth", "**", "--quiet", "--strict", "--output", str(folder / "cdk.out")]
    started = time.perf_counter()
    with (folder / "log").open("w+", encoding="utf-8") as log:
        process = psutil.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(_SAMPLE_SECONDS)
        taken = time.perf_counter() - started
        if process.returncode != 0:
            log.seek(0)
            raise RuntimeError(f"synth failed: {log.read().strip()[-2000:]}")
    return taken, peak


def _resident(process: psutil.Popen) -> int:
    """Return the memory of a process and its descendants, in bytes; processes that end meanwhile count as zero."""
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += int(member.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return total
