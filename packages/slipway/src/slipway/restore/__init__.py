"""Restore a service's data to a point in time, beside the current data, and compare: `slipway restore`."""
