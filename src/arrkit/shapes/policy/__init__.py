"""The embedded policy: a small flow-matching model that paints pictures of the shapes world."""
