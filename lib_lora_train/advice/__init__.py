"""What can be said before training: schedules, sizes, and what the settings will do."""
