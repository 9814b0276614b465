"""Play the delivery on this machine: deploy the synthesised templates on an embedded AWS emulator."""
