"""The Runs sub-tab: watching, continuing, and the test strip."""
