"""The storage: one client, uploads, downloads and what they share."""
