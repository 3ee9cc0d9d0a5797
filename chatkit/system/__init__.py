"""What differs between operating systems, in one place; on the lowest floor."""
