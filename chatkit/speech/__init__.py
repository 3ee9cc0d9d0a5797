"""Floor 2: speech to text. Check, look through, split, send, stitch; subtitles; a transcript to show."""
