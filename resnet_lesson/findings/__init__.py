"""What the records say; nothing here trains."""
