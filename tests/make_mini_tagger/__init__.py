"""Makes demo/tagger/: a small multi-label tagger with the WD14 interface, trained on emoji and their keywords."""
