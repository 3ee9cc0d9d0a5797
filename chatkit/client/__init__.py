"""The way to an endpoint: where calls go, how a turn is sent, and what comes back."""
