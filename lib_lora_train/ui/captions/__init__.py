"""The Captions sub-tab: the editor and the tagger."""
