"""Plugins: what they may do (`spec`), how they are found and called (`manager`), and ours (`builtin`)."""
