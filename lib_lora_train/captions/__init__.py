"""Captions: the editor, its filter, and checks of tags. Free of torch."""
