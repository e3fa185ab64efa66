"""What makes and shows the lesson: commands, and what they use."""
