"""What stops a bad change before an account sees it."""
