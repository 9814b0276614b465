"""A single endpoint in front of the accounts, like AWS's own.

Each account is a separate process. A client uses one endpoint, and its credentials select the account; roles are
assumed across accounts; host names such as `<id>.execute-api.<region>.amazonaws.com` are served too. The player answers
APIs that the emulator lacks (CodePipeline, CodeDeploy).
"""

from slipway.emulator.partition.requests import ApiError, Requester
from slipway.emulator.partition.router import Partition
from slipway.emulator.partition.server import Server

__all__ = ["ApiError", "Partition", "Requester", "Server"]
