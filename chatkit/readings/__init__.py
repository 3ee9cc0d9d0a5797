"""Readings. Rows of the store in, answers to a person's questions out."""
