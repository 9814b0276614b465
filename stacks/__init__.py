"""The stacks: wiring only. A stack receives its service and calls the service's method for its part."""
