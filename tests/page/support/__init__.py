"""Stand-ins for the engine and helpers for components."""
