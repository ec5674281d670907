"""What is measured on a GPU, part by part."""
