"""A chat: one turn's request, its settings, and the history that is kept."""
