"""What runs inside the emulator's process: the emulator, and what it has to refuse as AWS does.

The emulator enforces IAM on requests. What AWS's services do in a role's name it does in its own, and some of AWS's
limits it doesn't have. The modules here replace functions of the emulator at its start, through `patches.wrap`, which
refuses to start an emulator whose functions are others than the ones that were read.
"""
