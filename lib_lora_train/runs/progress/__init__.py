"""How long the phases of a run take: the time left, and the report at its end."""
