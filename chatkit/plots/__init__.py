"""Floor 3: plots. Lines of the ledger in, matplotlib figures out; never pyplot."""
