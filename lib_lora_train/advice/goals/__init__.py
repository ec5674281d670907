"""From a goal to settings: rules with their reasons and sources, and the plan they make."""
