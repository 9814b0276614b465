"""One endpoint before the accounts, as AWS is one endpoint before its accounts.

Each account is a process of its own. A client has one endpoint, and its credentials say whose account is meant; a role
of another account is assumed across two of them; names such as `<id>.execute-api.<region>.amazonaws.com` are served
too. And APIs that the emulator lacks (CodePipeline, CodeDeploy) are answered here, by the player.
"""

from slipway.emulator.partition.requests import ApiError, Requester
from slipway.emulator.partition.router import Partition
from slipway.emulator.partition.server import Server

__all__ = ["ApiError", "Partition", "Requester", "Server"]
