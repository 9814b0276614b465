"""The stacks: wiring only. A stack is handed its service and asks it for its part."""
