"""Break a service's dependencies, and check that it degrades as its document promises."""
