"""What a model is, whatever file holds it: its sizes and kinds, and what its tensors are called."""
