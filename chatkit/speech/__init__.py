"""Speech to text. Check, look through, split, send, stitch; subtitles; a transcript to show."""
