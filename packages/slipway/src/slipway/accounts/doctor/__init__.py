"""Diagnose what prevents a delivery: configuration, versions, assets, accounts; each with its fix."""
