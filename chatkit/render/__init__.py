"""Markdown becomes HTML that is safe to show; used by panel, repr and export."""
