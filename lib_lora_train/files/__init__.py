"""Files: the one way to write one whole, and to keep to a folder. Standard library only."""
