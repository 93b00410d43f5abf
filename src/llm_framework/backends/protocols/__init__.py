"""What providers want to be sent and what they answer, a protocol each. No I/O here, but for images read from files."""
