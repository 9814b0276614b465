"""All gates in one run: a step is a row in `steps.py`, independent steps run side by side."""
