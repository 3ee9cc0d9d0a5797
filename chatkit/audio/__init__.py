"""Audio, the leaf that speech and the local server share. It knows PyAV, and nothing of the house."""
