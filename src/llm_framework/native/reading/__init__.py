"""Reading with every check: a mapped file, the tensors in it as views, JSON objects field by field."""
