"""Names shared by the pipeline's definition and its build: places of reports and other files.

Nothing is imported here: the definition is synthesised without boto3, and the build publishes without the CDK.
"""

from __future__ import annotations

BUCKET = "REPORT_BUCKET"
"""Variable with the bucket for the reports. A definition without it is older than the change review."""

FOLDER = "build/report"
"""Folder of the gates' pages."""

ADDRESS_FILE = "build/report-address"
"""File in which `make publish` stores the address for the approver."""

PREFIX = "reports"
"""Prefix in the bucket: beside the artifacts, which CodePipeline stores under the pipeline's name."""

PERFORMANCE = "performance"
"""Prefix of the last good runs in the bucket, by environment."""

PAGES = ("index.html", "review.html")
"""Pages for an approver: the first existing one is linked."""

CONDENSED = "build/reports/condensed"
"""Folder of the build's JUnit reports, condensed by `make publish` to the number of cases that CodeBuild shows."""

HANDOVER = "build/handover"
"""Folder that `make handover` fills for the builds after the synth."""
