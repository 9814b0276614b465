"""The delivery pipeline: source, synth, self-mutation, assets, then environment after environment."""
