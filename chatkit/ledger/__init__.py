"""Floor 1, a door: what every call used and what it cost."""
