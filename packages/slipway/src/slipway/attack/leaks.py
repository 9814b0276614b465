"""Detect internals of a service in its answers."""

from __future__ import annotations

import re

LEAKS = {
    "a Python traceback": re.compile(r"Traceback \(most recent call last\)"),
    "a path of the function": re.compile(r"/var/(?:task|runtime|lang)/|/opt/python/"),
    "a Node stack trace": re.compile(r"\n\s+at .+ \(?(?:node:|/)[^)\n]*:\d+:\d+\)?"),
    "a Java stack trace": re.compile(r"\bat (?:[a-z_]\w*\.)+[A-Z]\w*\.\w+\(\w+\.java:\d+\)"),
    "an ARN of an account": re.compile(r"\barn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:\d{12}:"),
    "an error of the AWS SDK": re.compile(r"An error occurred \(\w+\) when calling the \w+ operation"),
}
"""Internals of a service → the pattern that recognises them."""


def find_leak(text: str) -> str | None:
    """Return which internals of a service a body reveals; None if it reveals none."""
    for what, pattern in LEAKS.items():
        if found := pattern.search(text):
            return f"{what}: {found.group()[:200]!r}"
    return None
