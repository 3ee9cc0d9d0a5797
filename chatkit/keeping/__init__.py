"""What was said is kept, on this machine, until it is deleted for good; nothing of it is in the usage store."""
