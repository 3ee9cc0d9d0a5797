"""The conversation as values: messages, branches, and the file they are kept in."""
