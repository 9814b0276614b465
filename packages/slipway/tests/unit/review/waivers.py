"""Waivers in the format of their file."""

from __future__ import annotations


def waiver(
    *findings: str,
    reason: str = "The table was empty, and nobody uses the service yet.",
    owner: str = "platform-team",
    expires: str = "2027-01-31",
) -> str:
    names = ", ".join(f'"{finding}"' for finding in findings)
    return f'[[waiver]]\nfindings = [{names}]\nreason = "{reason}"\nowner = "{owner}"\nexpires = {expires}\n'
