"""The interface to the webui, and the only room that imports the webui's modules."""
