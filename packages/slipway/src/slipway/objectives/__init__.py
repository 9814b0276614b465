"""Service level objectives: how fast error budgets burn, and how much of them is left."""

from slipway.objectives.burn import WINDOWS, BurnWindow, Promise, promises

__all__ = ["WINDOWS", "BurnWindow", "Promise", "promises"]
