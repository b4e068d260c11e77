"""Words and values that need nothing but the standard library: errors, states, messages, names, times."""
