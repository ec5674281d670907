"""What is known of a checkpoint from its name and metadata: its tags, its parents, and whether captions fit it."""
