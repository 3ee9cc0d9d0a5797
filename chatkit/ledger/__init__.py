"""What every call used and what it cost."""
