"""Routes of the window "What is wrong here?"."""
