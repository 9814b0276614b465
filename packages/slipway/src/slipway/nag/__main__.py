"""`python -m slipway.nag`: cdk-nag over an assembly of any CDK app."""

from __future__ import annotations

from slipway.nag.command import nag_app

if __name__ == "__main__":
    nag_app(prog_name="slipway nag")
