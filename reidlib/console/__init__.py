"""What the caller sees: arguments as messages spell them, and progress bars."""
