"""The webui as the rest of the project sees it, and the only room that imports the webui's modules."""
