"""Tasks, jobs and pools as local processes."""
