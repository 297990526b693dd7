"""Preference pairs: what they are (:mod:`.pairs`), how files of them are read (:mod:`.native`) and written
(:mod:`.write`), and how images are decoded (:mod:`.images`)."""
