"""What was found, as numbers and as files that people go on with; a writer a file."""
