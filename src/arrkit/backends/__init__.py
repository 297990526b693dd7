"""Plug-ins: judges, policies, datasets and benchmarks, ours and third parties', found by entry point."""
