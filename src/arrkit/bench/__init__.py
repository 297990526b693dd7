"""Generation benchmarks: prompts, output layouts, scorers, and the arithmetic that the papers use."""
