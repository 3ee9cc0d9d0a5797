"""Floor 1, a door: markdown becomes HTML that is safe to show; used by panel, repr and export."""
