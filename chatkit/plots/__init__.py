"""Plots. Lines of the ledger in, matplotlib figures out; never pyplot."""
