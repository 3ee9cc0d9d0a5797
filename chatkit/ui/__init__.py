"""Faces. One stem, three files each: `.py`, `.js`, `.css`."""
