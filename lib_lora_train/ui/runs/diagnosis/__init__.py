"""A run's diagnosis for the page: the curve of each image and tag, the findings, and what has been done about them."""
