"""The undo journal: atomic edits, across crashes and sessions."""
