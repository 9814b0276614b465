"""What services promise their callers: how fast an error budget may burn, and what is left of it."""

from slipway.objectives.burn import WINDOWS, BurnWindow, Promise, promises

__all__ = ["WINDOWS", "BurnWindow", "Promise", "promises"]
