"""Plug-ins: judges, policies, datasets and benchmarks, arrkit's own and third parties', found by entry point."""
