"""What the pictures of the documentation are made from: `make pictures`."""
