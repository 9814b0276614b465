"""The delivery played on this machine: an embedded AWS emulator, and what was synthesized deployed on it."""
