"""Load deployed services with ordinary traffic, and compare their answers with the last good run."""
