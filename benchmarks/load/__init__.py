"""What drives the servers: wrk where it is installed, else an asyncio client of our own."""
