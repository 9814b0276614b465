"""The supply chain: what ships and what builds it, audited, scanned, listed, and held against what is deployed."""
