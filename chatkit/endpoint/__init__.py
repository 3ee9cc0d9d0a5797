"""Where calls go, and the one engine that makes them."""
