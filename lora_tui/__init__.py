"""What people use: the commands. Talks to the engine through run folders and never imports torch."""
