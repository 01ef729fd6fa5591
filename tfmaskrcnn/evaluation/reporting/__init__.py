"""The report of an evaluation: numbers, sentences, charts and pictures on one page."""
