"""The caption editor of one dataset: files, index, operations and queries."""
