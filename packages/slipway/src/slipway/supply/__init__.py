"""The supply chain: audit, scan and list what ships and its tools, and compare it with what is deployed."""
