"""The program that made the mini checkpoint and the demo pictures in `demo/` (see `demo/CARD.md`)."""
