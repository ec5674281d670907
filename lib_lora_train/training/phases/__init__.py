"""Training phases: what changes in the learner and its images when one begins."""
