"""The Test sub-tab: plots, prompts and block presets."""
