"""One public function for each command: it opens what the options name, calls the rooms, keeps the run.

The command line is a thin skin over these functions; a notebook calls them directly. Here, and only here,
plug-ins, data, run folders and the rooms that know nothing of each other meet.
"""
