"""What judges answer: the schemas they are held to, and how their words become values."""
