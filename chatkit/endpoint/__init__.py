"""Floor 1, a door: where calls go, and the one engine that makes them."""
