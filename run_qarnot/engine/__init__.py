"""The engine: it starts sessions, follows them, and acts on them. Everything runs on one asyncio loop."""
