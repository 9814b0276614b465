"""Load deployed services as they are loaded on an ordinary day, and compare how they answer with the last good run."""
