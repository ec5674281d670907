"""What a diagnosis has found, in the run folder's ``diagnosis``: formats and readers."""
