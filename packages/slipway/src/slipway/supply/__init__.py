"""The supply chain: audit, scan and list shipped packages and tools, and compare them with what is deployed."""
