"""Images of a dataset: scanned, read, measured and augmented. Free of torch."""
