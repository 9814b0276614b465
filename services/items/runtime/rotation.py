"""Rotates the secret that signs cursors."""

from slipway_runtime.startup import finished

from slipway_runtime.rotation import rotates

handler = rotates("key")

finished()
