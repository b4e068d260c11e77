"""The REST routes (`reference/qarnot-platform.md` §1-§3, §5)."""
