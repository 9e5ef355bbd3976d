"""The study's facets from the text of a thread."""
