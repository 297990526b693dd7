"""All that stands between a judge's operation and the wire: once, for every endpoint."""
