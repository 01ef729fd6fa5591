"""Settings chosen from the data: a rule a question, each with its reason."""
