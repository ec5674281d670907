"""Training phases: stretches of one run that differ in some settings."""
