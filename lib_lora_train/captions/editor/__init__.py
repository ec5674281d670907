"""The caption editor of a dataset: index, operations, queries and history."""
