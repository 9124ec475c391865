"""The same training in several frameworks, each in a process of its own."""
