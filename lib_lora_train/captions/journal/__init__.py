"""The undo journal: edits that are wholly done or not at all, across crashes and sessions."""
