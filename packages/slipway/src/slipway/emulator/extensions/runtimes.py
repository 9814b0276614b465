"""Which functions run on this machine. Nothing of the emulator is loaded."""

HOSTED = ("python", "nodejs")
"""Beginnings of the runtimes whose functions run here."""
