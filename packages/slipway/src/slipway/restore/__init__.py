"""Restore a service's data to a point in time, beside the present data, and compare: `slipway restore`."""
