"""The protocols of ``judge eval``: ways from questions to a judge to a choice between two images."""
