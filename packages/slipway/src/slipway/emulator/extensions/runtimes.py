"""Runtimes whose functions run on this machine. This module does not import the emulator."""

HOSTED = ("python", "nodejs")
"""Prefixes of the runtimes whose functions run here."""
