"""Floor 4: faces. One stem, three files each: `.py`, `.js`, `.css`."""
