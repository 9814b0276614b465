"""Sandboxes of developers and branches: `slipway sandbox`."""
