"""What the wire looks like, without I/O: the one place that knows requests, answers, their ends, usage and errors."""
