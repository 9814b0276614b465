"""Break what a service needs, and see whether it degrades as its document promises."""
