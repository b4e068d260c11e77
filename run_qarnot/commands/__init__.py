"""The commands: `run-qarnot …`. `parser` says what there is; the other modules do it, in families."""
