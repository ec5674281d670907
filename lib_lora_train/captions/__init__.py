"""Captions: the editor, its filter, and what is known about tags. Free of torch."""
