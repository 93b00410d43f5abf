"""`python -m llm_framework.cli`."""

from . import main

main()
