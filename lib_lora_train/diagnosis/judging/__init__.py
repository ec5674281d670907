"""What the measurements of a run say: suspicious images and tags."""
