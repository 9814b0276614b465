"""Names that the pipeline's definition and its build agree on: where a build leaves what others read.

Nothing is imported here: the definition is synthesised without boto3, and the build publishes without the CDK.
"""

from __future__ import annotations

BUCKET = "REPORT_BUCKET"
"""Variable with the bucket that keeps the reports. A definition that gives none is older than the change review."""

FOLDER = "build/report"
"""Where the gates write their pages."""

ADDRESS_FILE = "build/report-address"
"""Where `make publish` leaves the address of what an approver reads."""

PREFIX = "reports"
"""Where they are in the bucket: beside the artifacts, which CodePipeline keeps under the pipeline's name."""

PAGES = ("index.html", "review.html")
"""Pages that an approver may read: the first that is there is linked."""

CONDENSED = "build/reports/condensed"
"""Where `make publish` leaves the JUnit reports of the build as CodeBuild shows them: no more cases than it counts."""

HANDOVER = "build/handover"
"""Where `make handover` leaves what the builds after the synth run."""
