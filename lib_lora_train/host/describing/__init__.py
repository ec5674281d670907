"""The webui's own interrogator, driven from the tab."""
