"""Run all gates: each step is a row in `steps.py`, and independent steps run in parallel."""
