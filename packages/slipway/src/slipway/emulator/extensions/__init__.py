"""Extensions that run inside the emulator's process and make it refuse requests as AWS does.

The emulator enforces IAM on requests, but performs actions of AWS's services on behalf of a role without checks, and
lacks some of AWS's limits. The modules here replace functions of the emulator at its start, through `patches.wrap`,
which refuses to start an emulator whose functions differ from the expected ones.
"""
