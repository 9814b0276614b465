"""Read the templates of a cloud assembly: nested stacks, loops, and both as one flat template. No CDK is loaded."""
