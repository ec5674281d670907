"""The same job in two programs, measured in turns."""
