"""From a bad sample back to its cause: which images show what is wrong in it, and which image it resembles."""
