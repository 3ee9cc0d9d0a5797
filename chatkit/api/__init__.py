"""The API's wire: requests, models, parameters, answers, their ends, usage, errors; what it looks like, without I/O."""
