"""Files that ship with the package, and the commands that made them."""
