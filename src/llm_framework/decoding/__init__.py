"""From messages to a prompt and from tokens back to an answer, for the backends that run a model on this machine."""
