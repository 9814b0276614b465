"""`python -m slipway.rules`: the rules about what only AWS would tell, over an assembly of any CDK app."""

from __future__ import annotations

from slipway.nag.command import rules_app

if __name__ == "__main__":
    rules_app(prog_name="slipway rules")
