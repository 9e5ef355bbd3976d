"""Files that leave the project."""
