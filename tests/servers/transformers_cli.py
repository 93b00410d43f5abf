"""The command `transformers`, for `python -m`: the script of that name may belong to another Python."""

from transformers.cli.transformers import main

if __name__ == "__main__":
    main()
