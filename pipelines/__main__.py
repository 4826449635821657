"""`python -m pipelines` is `mammoloop`."""

from pipelines.cli.main import main

if __name__ == "__main__":
    main()
