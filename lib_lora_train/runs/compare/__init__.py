"""What several runs have in common and what differs, and the groups of runs that differ in one setting."""
