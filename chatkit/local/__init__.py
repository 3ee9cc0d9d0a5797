"""Annexe: a local server that speaks the OpenAI API. Shares no import with the house but exceptions and audio."""
