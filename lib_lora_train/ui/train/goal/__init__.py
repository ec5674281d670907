"""The goal panel of the Train tab: facts for a plan, the plan, and the test bake."""
