"""Runs side by side: what differs, groups that vary one setting, and their images in one grid."""
