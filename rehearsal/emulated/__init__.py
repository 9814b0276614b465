"""The program of the emulator's process; nothing else of ours is importable there."""
