"""The API's wire: requests, models, parameters, answers, errors; what it looks like, without I/O."""
